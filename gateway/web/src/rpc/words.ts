/** What an error means to a person and what to do next, by reason. */

import { Code } from "@connectrpc/connect";
import { type CallError, isTransient } from "./errors";

export type ProblemKind =
  | "unknown-meeting"
  | "ended"
  | "not-started"
  | "full"
  | "passcode"
  | "passcode-locked"
  | "guests-not-allowed"
  | "no-media-node"
  | "unavailable"
  | "offline"
  | "credentials"
  | "signed-out"
  | "joined-too-often"
  | "input"
  | "fault";

export interface Problem {
  readonly kind: ProblemKind;
  readonly title: string;
  readonly advice: string;
}

export const UNKNOWN_MEETING: Problem = {
  kind: "unknown-meeting",
  title: "There is no meeting with this number",
  advice: "Check the link or the 11 digits with whoever invited you, then try again.",
};

export const NOT_LOADED: Problem = {
  kind: "unavailable",
  title: "The meeting couldn't be loaded",
  advice: "Check your network and try again. If Parley was just updated, reload this page.",
};

const PROBLEMS: Readonly<Record<string, Problem>> = {
  MEETING_NOT_FOUND: UNKNOWN_MEETING,
  MEETING_ENDED: {
    kind: "ended",
    title: "This meeting is over",
    advice: "Ask the host for a new link, or start a meeting of your own.",
  },
  MEETING_NOT_STARTED: {
    kind: "not-started",
    title: "The meeting hasn't begun",
    advice: "You can come in as soon as the host is there. We keep trying; you can leave this page open.",
  },
  MEETING_FULL: {
    kind: "full",
    title: "The meeting is full",
    advice: "Nobody else fits in right now. Try again when somebody has left, or ask the host to raise the limit.",
  },
  PASSCODE_WRONG: {
    kind: "passcode",
    title: "That passcode is not right",
    advice: "Look for it in the invitation and type it again.",
  },
  PASSCODE_ATTEMPTS_EXCEEDED: {
    kind: "passcode-locked",
    title: "Too many wrong passcodes",
    advice: "Wait a few minutes and get the passcode from the host before you try again.",
  },
  GUESTS_NOT_ALLOWED: {
    kind: "guests-not-allowed",
    title: "Please sign in first",
    advice: "Guests are not let in here. Sign in with your account and open the link again.",
  },
  NO_MEDIA_NODE: {
    kind: "no-media-node",
    title: "No server has room for video right now",
    advice: "This is our fault, not yours. We keep trying; you can leave this page open.",
  },
  MEDIA_NODE_UNAVAILABLE: {
    kind: "no-media-node",
    title: "The video server doesn't answer",
    advice: "We keep trying; you can leave this page open.",
  },
  CREDENTIALS_INVALID: {
    kind: "credentials",
    title: "E-mail address or password is wrong",
    advice: "Check both and try again.",
  },
  EMAIL_TAKEN: {
    kind: "credentials",
    title: "There is an account with this e-mail address",
    advice: "Sign in instead, or use another address.",
  },
  SIGN_UP_DISABLED: {
    kind: "credentials",
    title: "Nobody can sign up here by themselves",
    advice: "Ask whoever runs this Parley for an account.",
  },
  SIGNED_OUT: {
    kind: "signed-out",
    title: "You have been signed out",
    advice: "Your sign-in was ended or has run out. Sign in again, or go on as a guest.",
  },
  JOINED_TOO_OFTEN: {
    kind: "joined-too-often",
    title: "You are in this meeting on too many devices",
    advice: "Leave it on another device or page, then try again.",
  },
  RATE_LIMITED: {
    kind: "unavailable",
    title: "Too many tries in a short time",
    advice: "Wait a moment, then try again.",
  },
};

const UNAVAILABLE: Problem = {
  kind: "unavailable",
  title: "Parley can't be reached",
  advice: "Check your network. We keep trying; you can leave this page open.",
};

/** The problem behind a failed call, in words. */
export function describe(error: CallError): Problem {
  const known = PROBLEMS[error.reason];
  if (known) {
    return { ...known, advice: [known.advice, ...details(error)].join(" ") };
  }
  if (isTransient(error)) {
    return UNAVAILABLE;
  }
  if (error.code === Code.InvalidArgument) {
    const said = error.violations.map((violation) => violation.description).filter(Boolean);
    return {
      kind: "input",
      title: "Something you typed can't be used",
      advice: said.join(" ") || "Check it and try again.",
    };
  }
  const trace = error.message.match(/[0-9a-f]{8,}/)?.[0];
  return {
    kind: "fault",
    title: "Something went wrong on our side",
    advice: trace ? `Try again. If it stays so, tell us this number: ${trace}.` : "Try again in a moment.",
  };
}

/** What this very error adds to the advice of its kind. */
function details({ metadata, retryAfterMs = 0 }: CallError): string[] {
  const left = metadata.attempts_left;
  const minutes = Math.ceil(retryAfterMs / 60_000);
  return [
    ...(left ? [left === "1" ? "You have one more try." : `You have ${left} more tries.`] : []),
    ...(minutes > 1 ? [`It works again in about ${minutes} minutes.`] : []),
  ];
}
