import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { FakeClock } from "@/testing/fake_clock";
import { CallError } from "./errors";
import { retrying } from "./retry";

const POLICY = { budgetMs: 10_000, baseMs: 200, capMs: 3_000 };
const away = (retryAfterMs?: number) => new CallError(Code.Unavailable, "STORE_UNAVAILABLE", "", {}, retryAfterMs);

/** Runs a call that fails with each of these before it succeeds. */
function attempt(...failures: CallError[]) {
  const clock = new FakeClock();
  const times: number[] = [];
  const call = async () => {
    times.push(clock.now());
    const failure = failures[times.length - 1];
    if (failure) {
      throw failure;
    }
    return "done";
  };
  return { clock, times, call };
}

test("waits longer each time", async () => {
  const { clock, times, call } = attempt(away(), away(), away());
  const result = retrying(call, { policy: POLICY, clock });
  await clock.pass(5_000);
  expect(await result).toBe("done");
  expect(times).toEqual([0, 200, 600, 1_400]);
});

test("never sooner than the service asked", async () => {
  const { clock, times, call } = attempt(away(2_000));
  const result = retrying(call, { policy: POLICY, clock });
  await clock.pass(5_000);
  expect(await result).toBe("done");
  expect(times[1]).toBeGreaterThanOrEqual(2_000);
});

test("gives up when the budget is spent", async () => {
  const { clock, times, call } = attempt(...Array.from({ length: 100 }, () => away()));
  const result = retrying(call, { policy: POLICY, clock }).catch((error: CallError) => error.reason);
  await clock.pass(60_000);
  expect(await result).toBe("STORE_UNAVAILABLE");
  expect(Math.max(...times)).toBeLessThanOrEqual(POLICY.budgetMs);
});

test("doesn't repeat what will fail again", async () => {
  const { clock, times, call } = attempt(new CallError(Code.PermissionDenied, "PASSCODE_WRONG", ""));
  await expect(retrying(call, { policy: POLICY, clock })).rejects.toMatchObject({ reason: "PASSCODE_WRONG" });
  expect(times).toHaveLength(1);
});

test("stops waiting when aborted", async () => {
  const { clock, times, call } = attempt(away(), away());
  const stop = new AbortController();
  const result = retrying(call, { policy: POLICY, clock, signal: stop.signal }).catch(() => "stopped");
  await clock.pass(10);
  stop.abort();
  await clock.pass(5_000);
  expect(await result).toBe("stopped");
  expect(times).toHaveLength(1);
});
