import { expect, test } from "vitest";
import type { Explanation } from "./explanation";
import { line } from "./history";
import { looked, UNKNOWN } from "./use_connection";
import { badLooks, isPoor } from "./use_poor_picture";

const explanation = (estimated: number): Explanation => ({
  receiving: {
    estimated,
    sent: 0,
    wanted: 0,
    state: "holding",
    queueingDelayMs: 0,
    lost: 0,
    roundTripMs: 0,
    soundRepeated: false,
  },
  slots: [],
  tracks: [],
});
const empty = { way: undefined, sent: [] };

test("a minute is remembered, no more", () => {
  let known = UNKNOWN;
  for (let second = 0; second < 90; second += 1) {
    known = looked(known, second * 1_000, explanation(second), empty);
  }
  expect(known.moments).toHaveLength(60);
  expect(known.moments[0]?.estimated).toBe(30);
  expect(line(known.moments, ({ estimated }) => estimated).at(-1)).toEqual({ x: 1, y: 89 });
});

test("a look without an answer keeps what was known and says so", () => {
  const known = looked(UNKNOWN, 0, explanation(7), empty);
  const after = looked(known, 1_000, undefined, undefined);
  expect(after).toMatchObject({ silent: true, explanation: known.explanation, moments: known.moments });
  expect(after.before).toBe(known.stats);
  expect(looked(after, 2_000, explanation(8), empty).silent).toBe(false);
});

test("a picture is poor after it stuttered for some seconds, while somebody looked", () => {
  const looks = (...frames: number[]) => frames.reduce((count, shown) => badLooks(count, shown, false), 0);
  expect(isPoor(looks(4, 9))).toBe(false);
  expect(isPoor(looks(4, 9, 0))).toBe(true);
  expect(isPoor(looks(4, 9, 0, 10))).toBe(false);
  expect(badLooks(5, 0, true)).toBe(0);
});
