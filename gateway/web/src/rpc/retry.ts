/** Trying again: exponential back-off with full jitter, never sooner than the service asked, within a time budget. */

import { type CallError, isTransient, toCallError } from "./errors";

export interface Clock {
  now(): number;
  /** Resolves after the time or as soon as `signal` fires. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
  random(): number;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: (milliseconds, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) {
        resolve();
        return;
      }
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      signal?.addEventListener("abort", done);
    }),
  random: Math.random,
};

export interface RetryPolicy {
  /** No new try begins after this long. */
  readonly budgetMs: number;
  readonly baseMs: number;
  readonly capMs: number;
}

/** A click: people wait this long before they want to hear about it. */
export const ACTION: RetryPolicy = { budgetMs: 10_000, baseMs: 200, capMs: 3_000 };
/** Getting in or back in: worth staying at it. */
export const PATIENT: RetryPolicy = { budgetMs: 600_000, baseMs: 300, capMs: 5_000 };

export interface RetryOptions {
  readonly policy: RetryPolicy;
  readonly clock?: Clock;
  readonly signal?: AbortSignal | undefined;
  /** Told before each wait, so that a screen can say so. */
  readonly onWait?: (error: CallError, waitMs: number) => void;
}

/** How long to wait before try number `attempt` (from 1). */
export function backoff(policy: RetryPolicy, attempt: number, clock: Clock, floorMs = 0): number {
  const ceiling = Math.min(policy.capMs, policy.baseMs * 2 ** (attempt - 1));
  return floorMs + ceiling * (0.5 + clock.random() / 2);
}

/** Runs `call` until it succeeds, fails for good, or the budget is spent; throws CallError. */
export async function retrying<T>(call: () => Promise<T>, options: RetryOptions): Promise<T> {
  const clock = options.clock ?? systemClock;
  const start = clock.now();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (thrown) {
      const error = toCallError(thrown);
      const wait = backoff(options.policy, attempt, clock, error.retryAfterMs);
      const late = clock.now() + wait - start > options.policy.budgetMs;
      if (!isTransient(error) || late || options.signal?.aborted) {
        throw error;
      }
      options.onWait?.(error, wait);
      await clock.sleep(wait, options.signal);
      if (options.signal?.aborted) {
        throw error;
      }
    }
  }
}
