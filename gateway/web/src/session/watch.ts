/** Follows a meeting's event stream for as long as the participant is in it: resumes, notices silence, heeds go-away. */

import { type CallError, toCallError } from "@/rpc/errors";
import { backoff, type Clock, PATIENT } from "@/rpc/retry";
import type { WatchMessage } from "./model";

/** The service sends something at least every 15 s; this much silence means that the stream is dead. */
export const SILENCE_MS = 40_000;

/** Between the end of a stream that worked and the next one, so that a fault can't make a storm. */
const REOPEN_MS = 250;
/** What breaks the streams of many at once brings them back spread over this time. */
const SPREAD_MS = 500;

export interface WatchOptions {
  /** Opens a stream from a cursor; empty: from a snapshot. */
  readonly open: (cursor: string, signal: AbortSignal) => AsyncIterable<WatchMessage>;
  readonly cursor: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called with each message in order, each once. */
  readonly onMessage: (message: WatchMessage) => void;
  readonly onState: (state: "live" | "lost") => void;
}

/**
 * How a watch came to its end: aborted from outside, not in the meeting (any more), replaced by another stream of the same participant, or
 * refused for good.
 */
export type WatchEnd =
  | { readonly kind: "aborted" }
  | { readonly kind: "not-in-meeting" }
  | { readonly kind: "replaced" }
  | { readonly kind: "refused"; readonly error: CallError };

/** Runs until the end. */
export async function watch(options: WatchOptions): Promise<WatchEnd> {
  const { clock, signal, onState } = options;
  let cursor = options.cursor;
  let failures = 0;
  while (!signal.aborted) {
    const outcome = await follow(options, cursor);
    if (signal.aborted) {
      break;
    }
    if (outcome.end) {
      return outcome.end;
    }
    cursor = outcome.cursor;
    failures = outcome.progress ? 0 : failures + 1;
    if (failures > 0) {
      onState("lost");
    }
    const wait =
      failures === 0
        ? Math.max(outcome.delayMs, REOPEN_MS + SPREAD_MS * clock.random())
        : backoff(PATIENT, failures, clock, outcome.delayMs);
    await clock.sleep(wait, signal);
  }
  return { kind: "aborted" };
}

interface Outcome {
  /** Where to resume. */
  readonly cursor: string;
  /** Whether any message came. */
  readonly progress: boolean;
  readonly delayMs: number;
  readonly end?: WatchEnd;
}

/** One stream, from opening to its end. */
async function follow(options: WatchOptions, from: string): Promise<Outcome> {
  const { clock, signal, onMessage, onState } = options;
  const stream = new AbortController();
  const stop = () => stream.abort();
  signal.addEventListener("abort", stop);
  let cursor = from;
  let expected = 1n;
  const messages = options.open(from, stream.signal)[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await orSilence(messages.next(), clock, stream);
      if (!next || next.done) {
        return { cursor, progress: expected > 1n, delayMs: 0 };
      }
      const message = next.value;
      if (message.sequence !== expected) {
        return { cursor: "", progress: expected > 1n, delayMs: 0 };
      }
      expected += 1n;
      cursor = message.cursor || cursor;
      onState("live");
      if (message.body.kind === "go-away") {
        return goAway(message.body, cursor);
      }
      onMessage(message);
    }
  } catch (thrown) {
    return failed(toCallError(thrown), cursor, expected > 1n);
  } finally {
    stream.abort();
    signal.removeEventListener("abort", stop);
  }
}

/** The next message, or undefined (and the stream aborted) after too long a silence. */
async function orSilence<T>(next: Promise<T>, clock: Clock, stream: AbortController): Promise<T | undefined> {
  const came = new AbortController();
  const silence = clock.sleep(SILENCE_MS, came.signal).then(() => undefined);
  try {
    return await Promise.race([next, silence]);
  } finally {
    came.abort();
    next.catch(() => stream.abort());
  }
}

function goAway(body: WatchMessage["body"] & { kind: "go-away" }, cursor: string): Outcome {
  switch (body.reason) {
    case "left":
      return { cursor, progress: true, delayMs: 0, end: { kind: "not-in-meeting" } };
    case "replaced":
      // Opening it again would take the other page its stream, which would take it back.
      return { cursor, progress: true, delayMs: 0, end: { kind: "replaced" } };
    case "too-slow":
      return { cursor: "", progress: true, delayMs: body.delayMs };
    default:
      return { cursor, progress: true, delayMs: body.delayMs };
  }
}

function failed(error: CallError, cursor: string, progress: boolean): Outcome {
  switch (error.reason) {
    case "CURSOR_INVALID":
      return { cursor: "", progress: true, delayMs: 0 };
    case "PARTICIPANT_NOT_FOUND":
    case "TOKEN_EXPIRED":
      return { cursor, progress, delayMs: 0, end: { kind: "not-in-meeting" } };
    case "TOO_MANY_STREAMS":
      // With a time to come back it is only not our turn.
      return error.retryAfterMs
        ? { cursor, progress, delayMs: error.retryAfterMs }
        : { cursor, progress, delayMs: 0, end: { kind: "replaced" } };
    case "MEETING_NOT_FOUND":
    case "MEETING_ENDED":
    case "TOKEN_INVALID":
    case "TOKEN_KIND_NOT_ALLOWED":
    case "PERMISSION_DENIED":
      return { cursor, progress, delayMs: 0, end: { kind: "refused", error } };
    default:
      return { cursor, progress, delayMs: error.retryAfterMs ?? 0 };
  }
}
