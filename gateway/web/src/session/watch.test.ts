import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { CallError } from "@/rpc/errors";
import { FakeClock, settle } from "@/testing/fake_clock";
import type { WatchMessage } from "./model";
import { SILENCE_MS, type WatchEnd, watch } from "./watch";

/** A stream that a test feeds. */
class Stream implements AsyncIterable<WatchMessage> {
  private queue: IteratorResult<WatchMessage, undefined>[] = [];
  private waiting: ((next: IteratorResult<WatchMessage, undefined>) => void) | undefined;
  private refuse: ((error: unknown) => void) | undefined;
  private count = 0n;

  constructor(
    readonly cursor: string,
    readonly signal: AbortSignal,
  ) {}

  say(body: WatchMessage["body"], cursor: string, skip = 0n): void {
    this.count += 1n + skip;
    this.push({ done: false, value: { sequence: this.count, cursor, body } });
  }

  end(): void {
    this.push({ done: true, value: undefined });
  }

  fail(error: unknown): void {
    this.refuse?.(error);
  }

  [Symbol.asyncIterator](): AsyncIterator<WatchMessage, undefined> {
    return {
      next: () =>
        new Promise((resolve, reject) => {
          const ready = this.queue.shift();
          if (ready) {
            resolve(ready);
          } else {
            this.waiting = resolve;
            this.refuse = reject;
          }
        }),
    };
  }

  private push(next: IteratorResult<WatchMessage, undefined>): void {
    if (this.waiting) {
      this.waiting(next);
      this.waiting = undefined;
    } else {
      this.queue.push(next);
    }
  }
}

function start(cursor = "c0") {
  const clock = new FakeClock();
  const streams: Stream[] = [];
  const seen: string[] = [];
  const states: string[] = [];
  const life = new AbortController();
  let end: WatchEnd | undefined;
  void watch({
    open: (from, signal) => {
      const stream = new Stream(from, signal);
      streams.push(stream);
      return stream;
    },
    cursor,
    clock,
    signal: life.signal,
    onMessage: ({ cursor: at }) => seen.push(at),
    onState: (state) => states.push(state),
  }).then((how) => {
    end = how;
  });
  const last = () => {
    const stream = streams.at(-1);
    if (!stream) {
      throw new Error("no stream was opened");
    }
    return stream;
  };
  return { clock, streams, seen, states, life, last, end: () => end };
}

const CHECKPOINT = { kind: "checkpoint" } as const;

test("resumes where it was when a stream ends", async () => {
  const run = start();
  run.last().say(CHECKPOINT, "c1");
  run.last().end();
  await run.clock.pass(1_000);
  expect(run.streams.map(({ cursor }) => cursor)).toEqual(["c0", "c1"]);
  expect(run.seen).toEqual(["c1"]);
});

test("opens a new stream after 40 s of silence, not before", async () => {
  const run = start();
  run.last().say(CHECKPOINT, "c1");
  await run.clock.pass(SILENCE_MS - 1);
  expect(run.streams).toHaveLength(1);
  await run.clock.pass(1_000);
  expect(run.streams).toHaveLength(2);
  expect(run.streams[0]?.signal.aborted).toBe(true);
});

test("a gap in the numbers asks for a snapshot", async () => {
  const run = start();
  run.last().say(CHECKPOINT, "c1");
  run.last().say(CHECKPOINT, "c3", 1n);
  await run.clock.pass(1_000);
  expect(run.seen).toEqual(["c1"]);
  expect(run.last().cursor).toBe("");
});

test("a cursor that is no good asks for a snapshot", async () => {
  const run = start();
  await settle();
  run.last().fail(new CallError(Code.OutOfRange, "CURSOR_INVALID", ""));
  await run.clock.pass(1_000);
  expect(run.last().cursor).toBe("");
});

test("go-away is heeded with its delay", async () => {
  const run = start();
  run.last().say({ kind: "go-away", reason: "shutting-down", delayMs: 3_000 }, "c1");
  await run.clock.pass(2_900);
  expect(run.streams).toHaveLength(1);
  await run.clock.pass(200);
  expect(run.streams.map(({ cursor }) => cursor)).toEqual(["c0", "c1"]);
});

test("too slow a reader begins with a snapshot", async () => {
  const run = start();
  run.last().say({ kind: "go-away", reason: "too-slow", delayMs: 0 }, "c1");
  await run.clock.pass(1_000);
  expect(run.last().cursor).toBe("");
});

test.each([
  ["go-away", (stream: Stream) => stream.say({ kind: "go-away", reason: "left", delayMs: 0 }, "c1")],
  [
    "an unknown participant",
    (stream: Stream) => stream.fail(new CallError(Code.NotFound, "PARTICIPANT_NOT_FOUND", "")),
  ],
])("ends when the participant is gone: %s", async (_, tell) => {
  const run = start();
  await settle();
  tell(run.last());
  await run.clock.pass(1);
  expect(run.end()).toEqual({ kind: "not-in-meeting" });
});

test("keeps trying while nobody answers, ever more slowly, and says so", async () => {
  const run = start();
  for (let failure = 0; failure < 8; failure += 1) {
    await settle();
    run.last().fail(new CallError(Code.Unavailable, "NETWORK", ""));
    await run.clock.pass(5_000);
  }
  expect(run.streams).toHaveLength(9);
  expect(run.states.at(-1)).toBe("lost");
  run.last().say(CHECKPOINT, "c1");
  await run.clock.pass(1);
  expect(run.states.at(-1)).toBe("live");
});

test("ends at once when aborted", async () => {
  const run = start();
  await settle();
  run.life.abort();
  run.last().fail(new CallError(Code.Canceled, "", ""));
  await run.clock.pass(1);
  expect(run.end()).toEqual({ kind: "aborted" });
  expect(run.streams[0]?.signal.aborted).toBe(true);
});

test("P7: a stream that another page of the participant has replaced is not opened again", async () => {
  const run = start();
  run.last().say({ kind: "go-away", reason: "replaced", delayMs: 0 }, "c1");
  run.last().end();
  await run.clock.pass(60_000);
  expect(run.streams).toHaveLength(1);
  expect(run.end()).toEqual({ kind: "replaced" });
});

test("a stream that was told of it by its error is not opened again either", async () => {
  const run = start();
  await settle();
  run.last().fail(new CallError(Code.ResourceExhausted, "TOO_MANY_STREAMS", ""));
  await run.clock.pass(60_000);
  expect(run.streams).toHaveLength(1);
  expect(run.end()).toEqual({ kind: "replaced" });
});

test("a stream whose turn it is not yet is opened again when it is", async () => {
  const run = start();
  await settle();
  run.last().fail(new CallError(Code.ResourceExhausted, "TOO_MANY_STREAMS", "", {}, 5_000));
  await run.clock.pass(4_900);
  expect(run.streams).toHaveLength(1);
  await run.clock.pass(10_000);
  expect(run.streams).toHaveLength(2);
});
