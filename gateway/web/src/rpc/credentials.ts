/** Whose tokens this browser holds, and the one place that renews them. */

import { Code } from "@connectrpc/connect";
import * as api from "./api";
import type { Credentials } from "./convert";
import { CallError, SIGNED_OUT } from "./errors";
import { ACTION, retrying } from "./retry";

/** Tokens are renewed this long before they expire. */
const MARGIN_MS = 60_000;

export interface Account {
  readonly displayName: string;
  readonly email: string;
}

interface Stored extends Account {
  readonly credentials: Credentials;
}

/**
 * One user's credentials in one storage. An account's stay over restarts (localStorage); a guest's end with the tab
 * (sessionStorage). Renewal runs under a lock, because a refresh token may be spent once only and tabs share it.
 */
export class UserCredentials {
  /** Tokens that were given up here, so that other calls with them get the new one. */
  private readonly replaced = new Set<string>();

  constructor(
    private readonly key: string,
    private readonly storage: Storage,
  ) {}

  get account(): Account | undefined {
    return this.read();
  }

  keep(credentials: Credentials, account: Account = { displayName: "", email: "" }): void {
    const { displayName, email } = account;
    this.storage.setItem(this.key, JSON.stringify({ credentials, displayName, email } satisfies Stored));
  }

  forget(): void {
    this.storage.removeItem(this.key);
  }

  /** An access token that is good for a minute at least; undefined when nobody is signed in (any more). */
  async token(): Promise<string | undefined> {
    const stored = this.read();
    if (!stored || isFresh(stored.credentials)) {
      return stored?.credentials.accessToken;
    }
    return navigator.locks.request(this.key, () => this.renew());
  }

  /**
   * What to call with instead of a token that the service has refused; undefined when the token is not this user's.
   * Throws SIGNED_OUT when there is no other.
   */
  async instead(refused: string, reason: string): Promise<string | undefined> {
    const mine = this.read()?.credentials.accessToken;
    if (mine !== refused) {
      // Another call, or another tab, may have renewed it meanwhile.
      return this.replaced.has(refused) ? mine : undefined;
    }
    if (reason !== "TOKEN_EXPIRED") {
      this.forget();
      throw new CallError(Code.Unauthenticated, SIGNED_OUT, "");
    }
    const fresh = await navigator.locks.request(this.key, () => this.renew(refused));
    if (!fresh) {
      throw new CallError(Code.Unauthenticated, SIGNED_OUT, "");
    }
    this.replaced.add(refused);
    return fresh;
  }

  /** Renews the access token unless it is fresh; with `refused`, unless it is another one by now. */
  private async renew(refused = ""): Promise<string | undefined> {
    const stored = this.read();
    if (!stored || (isFresh(stored.credentials) && stored.credentials.accessToken !== refused)) {
      return stored?.credentials.accessToken;
    }
    try {
      const credentials = await retrying(() => api.refresh(stored.credentials.refreshToken), { policy: ACTION });
      this.keep(credentials, stored);
      return credentials.accessToken;
    } catch (thrown) {
      if (
        thrown instanceof CallError &&
        ["TOKEN_INVALID", "TOKEN_EXPIRED", "SESSION_REVOKED"].includes(thrown.reason)
      ) {
        this.forget();
        return undefined;
      }
      throw thrown;
    }
  }

  private read(): Stored | undefined {
    try {
      return JSON.parse(this.storage.getItem(this.key) ?? "null") ?? undefined;
    } catch {
      return undefined;
    }
  }
}

const isFresh = (credentials: Credentials): boolean => credentials.expiresAt - MARGIN_MS > Date.now();

/** The signed-in account. */
export const account = new UserCredentials("parley.account", localStorage);
/** The guest that hosts meetings started from this tab. */
export const guestHost = new UserCredentials("parley.guest", sessionStorage);

api.keepTokens(
  async (token, reason) => (await account.instead(token, reason)) ?? (await guestHost.instead(token, reason)),
);

const HOSTED = "parley.hosted";

/** Remembers that this tab's guest hosts the meeting. */
export function rememberHosted(meeting: string): void {
  sessionStorage.setItem(HOSTED, JSON.stringify([...hosted(), meeting]));
}

function hosted(): string[] {
  try {
    return JSON.parse(sessionStorage.getItem(HOSTED) ?? "[]");
  } catch {
    return [];
  }
}

/** A source of access tokens for one meeting. */
export interface Entry {
  /** A token that JoinMeeting takes now. */
  token(): Promise<string>;
}

/** Whether this browser may be let in without a passcode: signed in, or host by this tab's guest. */
export async function holdsTokenFor(meeting: string): Promise<boolean> {
  return Boolean((await account.token()) ?? (hosted().includes(meeting) && (await guestHost.token())));
}

/** The account if signed in, else the guest that hosts the meeting, else a guest of it. Throws CallError when refused. */
export async function entryTo(meeting: string, passcode: string): Promise<Entry> {
  if (await account.token()) {
    return { token: async () => (await account.token()) ?? guestToken(meeting, passcode) };
  }
  if (hosted().includes(meeting) && (await guestHost.token())) {
    return { token: async () => (await guestHost.token()) ?? guestToken(meeting, passcode) };
  }
  return guestOf(meeting, passcode);
}

async function guestToken(meeting: string, passcode: string): Promise<string> {
  return (await api.createGuest(meeting, passcode)).accessToken;
}

async function guestOf(meeting: string, passcode: string): Promise<Entry> {
  let credentials = await api.createGuest(meeting, passcode);
  return {
    token: async () => {
      if (!isFresh(credentials)) {
        credentials = await api.createGuest(meeting, passcode);
      }
      return credentials.accessToken;
    },
  };
}

/** A token that may create meetings: the account's, else that of a guest made for it. */
export async function hostToken(): Promise<{ token: string; guest: boolean }> {
  const mine = await account.token();
  if (mine) {
    return { token: mine, guest: false };
  }
  const known = await guestHost.token();
  if (known) {
    return { token: known, guest: true };
  }
  const credentials = await retrying(() => api.createGuestUser(), { policy: ACTION });
  guestHost.keep(credentials);
  return { token: credentials.accessToken, guest: true };
}

export async function signOut(): Promise<void> {
  const token = await account.token();
  const stored = localStorage.getItem("parley.account");
  account.forget();
  const session = stored && (JSON.parse(stored) as Stored).credentials.session;
  if (token && session) {
    await api.revoke(token, session);
  }
}
