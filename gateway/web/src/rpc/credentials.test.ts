import { Code } from "@connectrpc/connect";
import { beforeEach, expect, test, vi } from "vitest";
import type { Credentials } from "./convert";
import { CallError, SIGNED_OUT } from "./errors";

class MemoryStorage implements Storage {
  private readonly items = new Map<string, string>();
  get length(): number {
    return this.items.size;
  }
  clear = (): void => this.items.clear();
  getItem = (key: string): string | null => this.items.get(key) ?? null;
  key = (index: number): string | null => [...this.items.keys()][index] ?? null;
  removeItem = (key: string): void => void this.items.delete(key);
  setItem = (key: string, value: string): void => void this.items.set(key, value);
}

vi.stubGlobal("localStorage", new MemoryStorage());
vi.stubGlobal("sessionStorage", new MemoryStorage());
vi.stubGlobal("navigator", { locks: { request: (_: string, run: () => unknown) => run() } });

const refresh = vi.hoisted(() => vi.fn());
vi.mock("./api", () => ({ refresh, keepTokens: () => undefined }));

const { UserCredentials } = await import("./credentials");

const HOUR_MS = 3_600_000;
const credentials = (accessToken: string, ms: number): Credentials => ({
  accessToken,
  expiresAt: Date.now() + ms,
  refreshToken: `buys after ${accessToken}`,
  session: "users/1/sessions/1",
});

function signedIn(): InstanceType<typeof UserCredentials> {
  const user = new UserCredentials("user", new MemoryStorage());
  user.keep(credentials("first", 2 * HOUR_MS));
  return user;
}

beforeEach(() => {
  refresh.mockReset();
});

test("CLK-2: a token that this clock takes for fresh and the service for expired is renewed", async () => {
  const user = signedIn();
  refresh.mockResolvedValue(credentials("second", HOUR_MS));
  expect(await user.instead("first", "TOKEN_EXPIRED")).toBe("second");
  expect(await user.token()).toBe("second");
  expect(refresh).toHaveBeenCalledExactlyOnceWith("buys after first");
});

test("two calls whose token has expired renew it once", async () => {
  const user = signedIn();
  refresh.mockResolvedValueOnce(credentials("second", HOUR_MS));
  await user.instead("first", "TOKEN_EXPIRED");
  expect(await user.instead("first", "TOKEN_EXPIRED")).toBe("second");
  expect(await user.token()).toBe("second");
  expect(refresh).toHaveBeenCalledTimes(1);
});

test.each(["SESSION_REVOKED", "TOKEN_INVALID"])("TOK-5: %s signs out and says so", async (reason) => {
  const user = signedIn();
  await expect(user.instead("first", reason)).rejects.toMatchObject({ reason: SIGNED_OUT });
  expect(user.account).toBeUndefined();
  expect(await user.token()).toBeUndefined();
  expect(refresh).not.toHaveBeenCalled();
});

test("TOK-5: an expired token whose session was ended meanwhile signs out too", async () => {
  const user = signedIn();
  refresh.mockImplementation(async () => {
    throw new CallError(Code.Unauthenticated, "SESSION_REVOKED", "");
  });
  await expect(user.instead("first", "TOKEN_EXPIRED")).rejects.toMatchObject({ reason: SIGNED_OUT });
  expect(user.account).toBeUndefined();
});

test("a token that is not this user's is left alone", async () => {
  const user = signedIn();
  expect(await user.instead("a participant's", "TOKEN_EXPIRED")).toBeUndefined();
  expect(await user.instead("a participant's", "SESSION_REVOKED")).toBeUndefined();
  expect(user.account).toBeDefined();
});
