import { expect, test } from "vitest";
import { bitrate, readStats } from "./local_stats";

const report = (entries: Record<string, Record<string, unknown>>) =>
  readStats(new Map(Object.entries(entries)) as unknown as RTCStatsReport);

const connected = (local: Record<string, unknown>) =>
  report({
    T: { type: "transport", selectedCandidatePairId: "P" },
    P: { type: "candidate-pair", localCandidateId: "L" },
    L: { type: "local-candidate", ...local },
  }).way;

test("the way is that of the selected pair", () => {
  expect(connected({ candidateType: "host", protocol: "udp" })).toEqual({ kind: "udp", relayProtocol: "" });
  expect(connected({ candidateType: "prflx", protocol: "tcp" })?.kind).toBe("tcp");
  expect(connected({ candidateType: "relay", protocol: "udp", relayProtocol: "tls" })).toEqual({
    kind: "relay",
    relayProtocol: "tls",
  });
  expect(report({ T: { type: "transport" } }).way).toBeUndefined();
});

const outbound = (rid: string, bytesSent: number, timestamp: number) => ({
  type: "outbound-rtp",
  kind: "video",
  mid: "1",
  rid,
  bytesSent,
  timestamp,
});

test("rates are counted for each encoding between two looks", () => {
  const before = report({ A: outbound("q", 1_000, 0), B: outbound("f", 10_000, 0) });
  const now = report({ A: outbound("q", 1_000, 2_000), B: outbound("f", 60_000, 2_000), C: outbound("h", 9, 2_000) });
  expect(now.sent.map((encoding) => [encoding.rid, bitrate(before, encoding)])).toEqual([
    ["q", 0],
    ["f", 200_000],
    ["h", 0],
  ]);
  expect(now.sent.map((encoding) => bitrate(undefined, encoding))).toEqual([0, 0, 0]);
});

test("what a browser does not tell is nothing", () => {
  expect(report({ A: { type: "outbound-rtp", kind: "video" } }).sent).toEqual([
    { mid: "", rid: "", active: true, height: 0, framesPerSecond: 0, bytes: 0, limit: "none", time: 0 },
  ]);
});
