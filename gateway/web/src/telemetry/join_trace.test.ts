import { expect, test } from "vitest";
import { JoinTrace } from "./join_trace";

interface Span {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
}

function spansOf(body: string): Span[] {
  return JSON.parse(body).resourceSpans[0].scopeSpans[0].spans;
}

test("the call's span is the parent that the service sees, and the steps lie one after the other", () => {
  const sent: string[] = [];
  const trace = new JoinTrace((body) => sent.push(body));
  trace.reach("answer");
  trace.reach("connected");
  trace.reach("first_frame");
  trace.reach("first_frame");
  trace.finish();
  trace.finish();
  expect(sent).toHaveLength(1);
  const [root, call, connect, frame, ...rest] = spansOf(sent[0] ?? "");
  expect(rest).toEqual([]);
  const [, traceId, parent] = trace.traceparent.match(/^00-([0-9a-f]{32})-([0-9a-f]{16})-01$/) ?? [];
  expect([call?.traceId, call?.spanId]).toEqual([traceId, parent]);
  expect([call, connect, frame].map((span) => span?.parentSpanId)).toEqual(Array(3).fill(root?.spanId));
  expect(BigInt(call?.endTimeUnixNano ?? 0)).toBe(BigInt(connect?.startTimeUnixNano ?? 1));
  expect(root?.endTimeUnixNano).toBe(frame?.endTimeUnixNano);
  const year = new Date(Number(BigInt(root?.startTimeUnixNano ?? 0) / 1_000_000n)).getFullYear();
  expect(year).toBeGreaterThan(2024);
});

test("marks stand on the page's timeline", () => {
  performance.clearMarks();
  const trace = new JoinTrace(() => undefined);
  trace.reach("answer");
  expect(performance.getEntriesByType("mark").map(({ name }) => name)).toEqual([
    "parley.join.click",
    "parley.join.answer",
  ]);
});
