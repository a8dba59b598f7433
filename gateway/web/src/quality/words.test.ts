import { describe, expect, test } from "vitest";
import type { ExplainedSlot, Receiving } from "./explanation";
import type { SentEncoding } from "./local_stats";
import { bits, layer, pictureWords, sendingWords, share, verdict, wayWords } from "./words";

const EMPTY_SLOT: ExplainedSlot = { mid: "7", sent: undefined, reason: "sender", words: "", repairWaitMs: 0 };

const way = (change: Partial<Receiving>): Receiving => ({
  estimated: 3e6,
  sent: 1e6,
  wanted: 1.2e6,
  state: "sufficient",
  queueingDelayMs: 3,
  lost: 0,
  roundTripMs: 40,
  soundRepeated: false,
  ...change,
});
const whole = (change: Partial<Receiving>, repairWaitMs = 0) =>
  verdict({ receiving: way(change), slots: [{ ...EMPTY_SLOT, repairWaitMs }], tracks: [] });

test("rates are in the unit that fits", () => {
  expect([0, 48_000, 94_900, 400_000, 1_230_000].map(bits)).toEqual([
    "0 kbit/s",
    "48 kbit/s",
    "95 kbit/s",
    "0.40 Mbit/s",
    "1.2 Mbit/s",
  ]);
});

test("shares are in percent, and little is not nothing", () => {
  expect([0, 0.004, 0.03, 0.155].map(share)).toEqual(["0 %", "under 1 %", "3 %", "16 %"]);
});

test("a layer is said as far as it is known", () => {
  expect(layer({ height: 360, framesPerSecond: 14.8, bitsPerSecond: 400_000 })).toBe("360p, 15 fps, 0.40 Mbit/s");
  expect(layer({ height: 0, framesPerSecond: 0, bitsPerSecond: 30_000 })).toBe("30 kbit/s");
});

test("a slot without a picture says so", () => {
  expect(pictureWords(EMPTY_SLOT)).toBe("No picture is sent");
});

describe("the whole in a sentence", () => {
  test.each([
    ["unknown", { estimated: 0, roundTripMs: 0 }],
    ["good", {}],
    ["fair", { estimated: 500_000 }],
    ["good", { estimated: 1.15e6 }],
    ["fair", { roundTripMs: 400 }],
    ["poor", { lost: 0.06 }],
    ["poor", { queueingDelayMs: 350, lost: 0.01 }],
  ])("is %s", (mood, change) => {
    expect(whole(change).mood).toBe(mood);
  });

  test("tells what is done about losses", () => {
    expect(whole({ lost: 0.07 }).text).toBe("Your connection loses 7 % of the data. Sound and pictures may break up.");
    expect(whole({ lost: 0.07 }, 430)).toEqual({
      mood: "fair",
      text: "Your connection loses 7 % of the data. It is sent again, which makes pictures 0.4 s late.",
    });
    expect(whole({ lost: 0.2, soundRepeated: true }, 600).text).toContain(
      "0.6 s late, and sound is sent several times.",
    );
  });

  test("has the numbers", () => {
    expect(whole({ estimated: 500_000 }).text).toBe(
      "Your connection carries about 0.50 Mbit/s; sharp pictures would take 1.2 Mbit/s. Some are smaller for that.",
    );
    expect(verdict(undefined).mood).toBe("unknown");
  });
});

test("the way is named with its reason", () => {
  expect(wayWords({ kind: "udp", relayProtocol: "" })).toContain("UDP");
  expect(wayWords({ kind: "tcp", relayProtocol: "" })).toContain("lets no UDP through");
  expect(wayWords({ kind: "relay", relayProtocol: "tls" })).toContain("relay server over TLS");
  expect(wayWords(undefined)).toBe("Not connected yet.");
});

describe("an encoding that is sent", () => {
  const encoding: SentEncoding = {
    mid: "1",
    rid: "f",
    active: true,
    height: 720,
    framesPerSecond: 30,
    bytes: 0,
    limit: "none",
    time: 0,
  };
  test.each([
    ["720p, 30 fps, 1.6 Mbit/s", encoding, true],
    ["720p, 30 fps, 1.6 Mbit/s; held back by your computer", { ...encoding, limit: "cpu" }, true],
    ["Not needed now", encoding, false],
    ["Not needed now", { ...encoding, active: false }, true],
    ["Paused: your connection carries too little", { ...encoding, framesPerSecond: 0, limit: "bandwidth" }, true],
    ["Not sent now", { ...encoding, framesPerSecond: 0 }, true],
  ])("%s", (words, sent, needed) => {
    expect(sendingWords(sent, 1.6e6, needed)).toBe(words);
  });
});
