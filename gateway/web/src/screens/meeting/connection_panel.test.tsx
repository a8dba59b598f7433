import { renderToStaticMarkup } from "react-dom/server";
import { expect, test } from "vitest";
import type { Explanation } from "@/quality/explanation";
import { looked, UNKNOWN } from "@/quality/use_connection";
import type { Participant } from "@/session/model";
import { EMPTY, type SessionState } from "@/session/state";
import { ConnectionDetails } from "./connection_panel";

const person = (id: string, displayName: string): Participant => ({
  id,
  displayName,
  role: "participant",
  presence: "connected",
  tracks: [
    { mid: "1", kind: "video", source: "camera", muted: false },
    { mid: "2", kind: "video", source: "screen", muted: true },
  ],
});

const state: SessionState = {
  ...EMPTY,
  selfId: "me",
  participants: [person("me", "Me"), person("a", "Ada <L>")],
  slots: { "7": { mid: "7", participant: "a", sourceMid: "1" }, "8": { mid: "8", participant: "", sourceMid: "" } },
  encodings: { "1": ["q"] },
};

const explanation: Explanation = {
  receiving: {
    estimated: 450_000,
    sent: 400_000,
    wanted: 1_700_000,
    state: "holding",
    queueingDelayMs: 12,
    lost: 0.02,
    roundTripMs: 60,
    soundRepeated: false,
  },
  slots: [
    {
      mid: "7",
      sent: { rid: "h", height: 360, framesPerSecond: 15, bitsPerSecond: 400_000 },
      reason: "bandwidth",
      words: "720p is not sent because your connection carries 0.45 Mbit/s.",
      repairWaitMs: 0,
    },
    { mid: "8", sent: undefined, reason: "empty", words: "", repairWaitMs: 0 },
  ],
  tracks: [],
};

const encoding = (rid: string, bytes: number, time: number) => {
  return { mid: "1", rid, active: rid === "q", height: 180, framesPerSecond: 30, bytes, limit: "none", time };
};
const stats = (bytes: number, time: number) => ({
  way: { kind: "tcp" as const, relayProtocol: "" },
  sent: [encoding("f", 0, time), encoding("q", bytes, time)],
});

const html = (connection = UNKNOWN) =>
  renderToStaticMarkup(<ConnectionDetails connection={connection} state={state} onClose={() => undefined} />);

const known = looked(looked(UNKNOWN, 0, explanation, stats(0, 0)), 1_000, explanation, stats(12_500, 1_000));

test("says the whole in a sentence, and what is measured beside it", () => {
  expect(html(known)).toContain('data-mood="fair"');
  expect(html(known)).toContain("Your connection carries about 0.45 Mbit/s");
  expect(html(known)).toContain("60 ms");
  expect(html(known)).toContain("2 %");
});

test("says of each picture what it is and why it is not more, in the node's words", () => {
  expect(html(known)).toContain("Ada &lt;L&gt;");
  expect(html(known)).toContain("360p, 15 fps, 0.40 Mbit/s");
  expect(html(known)).toContain("720p is not sent because your connection carries 0.45 Mbit/s.");
  expect(html(known).match(/data-reason/g)).toHaveLength(1);
});

test("says what is sent, the smallest first, and what nobody needs", () => {
  const page = html(known);
  expect(page).toContain("180p, 30 fps, 0.10 Mbit/s");
  expect(page).toContain("Not needed now");
  expect(page.indexOf("Camera small")).toBeLessThan(page.indexOf("Camera full"));
});

test("says how it is connected, and when nobody answers", () => {
  expect(html(known)).toContain("lets no UDP through");
  expect(html(known)).not.toContain("gives no answer");
  expect(html(looked(known, 2_000, undefined, undefined))).toContain("gives no answer");
});

test("the lines are for eyes, the numbers for everyone", () => {
  const page = html(known);
  expect(page.match(/<svg aria-hidden="true" viewBox="0 0 96/g)).toHaveLength(6);
  expect(page).toContain('aria-label="Connection details"');
  expect(page).toContain('role="status"');
});

test("before anything is known it says that it measures", () => {
  expect(html()).toContain("Your connection is being measured.");
});
