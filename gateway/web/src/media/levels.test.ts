import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Levels } from "./levels";
import type { Slot } from "./peer";

let level: number;
let timestamp: number;
let participant: string;
let own: number;
let levels: Levels;

beforeEach(() => {
  vi.useFakeTimers();
  [level, timestamp, participant, own] = [0, 0, "a", 0];
  const receiver = {
    getSynchronizationSources: () => [{ source: 1, rtpTimestamp: 0, timestamp, audioLevel: level }],
  } as unknown as RTCRtpReceiver;
  const slot: Slot = { mid: "4", receiver };
  levels = new Levels({ slots: () => [slot], participantOf: () => participant, selfId: () => "me", own: () => own });
});

afterEach(() => {
  levels.close();
  vi.useRealTimers();
});

/** What is told about a participant, in order. */
function follow(id: string): boolean[] {
  const told: boolean[] = [];
  levels.follow(id, (speaking) => told.push(speaking));
  return told;
}

function pass(milliseconds: number, packets = true): void {
  for (let past = 0; past < milliseconds; past += 20) {
    timestamp += packets ? 20 : 0;
    vi.advanceTimersByTime(20);
  }
}

test("a voice shows within 200 ms and stays through a short pause", () => {
  const told = follow("a");
  pass(500);
  expect(told).toEqual([]);
  level = 0.1;
  pass(200);
  expect(told).toEqual([true]);
  level = 0;
  pass(200);
  expect(told).toEqual([true]);
  pass(600);
  expect(told).toEqual([true, false]);
});

test("an old level of a slot without packets is no voice", () => {
  const told = follow("a");
  level = 0.5;
  pass(100);
  pass(1_000, false);
  expect(told).toEqual([true, false]);
});

test("a voice belongs to whom the slot carries at that moment", () => {
  const [a, b] = [follow("a"), follow("b")];
  level = 0.1;
  pass(200);
  participant = "b";
  pass(800);
  expect([a, b]).toEqual([[true, false], [true]]);
});

test("one's own voice comes from the microphone", () => {
  const told = follow("me");
  own = 0.2;
  pass(200);
  expect(told).toEqual([true]);
});
