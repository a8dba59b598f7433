import { expect, test } from "vitest";
import { Silence } from "./silence";

/** At which of the looks a connection was found to have fallen silent; each look finds so many new bytes. */
function found(flow: readonly number[]): number[] {
  const silence = new Silence();
  let received = 0;
  return flow.flatMap((bytes, look) => {
    received += bytes;
    return silence.fell(received) ? [look] : [];
  });
}

const times = (count: number, bytes: number) => Array.from({ length: count }, () => bytes);

test("a busy connection that falls silent is found at the third look, once", () => {
  expect(found([...times(4, 900), ...times(20, 0)])).toEqual([6]);
});

test("FLT-9: silence lasts until something comes", () => {
  const silence = new Silence();
  let received = 0;
  const look = (bytes: number) => {
    received += bytes;
    silence.fell(received);
    return silence.lasts;
  };
  expect([900, 900, 900, 900, 0, 0, 0, 0, 0, 900].map(look)).toEqual([
    ...times(6, 0).map(() => false),
    true,
    true,
    true,
    false,
  ]);
});

test("one that was hardly used is let alone", () => {
  expect(found([...times(3, 900), ...times(20, 0)])).toEqual([]);
  expect(found(times(20, 0))).toEqual([]);
  expect(found(Array.from({ length: 60 }, (_, look) => (look % 3 === 0 ? 100 : 0)))).toEqual([]);
});

test("a gap of two looks is none, and silence is found again after new traffic", () => {
  expect(found([...times(4, 900), 0, 0, ...times(4, 900), 0, 0, 0, ...times(4, 900), 0, 0, 0])).toEqual([12, 19]);
});
