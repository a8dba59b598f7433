/** Every call this client makes. Failures are CallErrors; nothing here retries. */

import { type CallOptions, Code, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { IdentityService } from "@gen/identity/v1/identity_service_pb";
import { MeetingService } from "@gen/meeting/v1/meeting_service_pb";
import { SignalingService } from "@gen/signaling/v1/signaling_service_pb";
import type { Explanation } from "@/quality/explanation";
import type { Joined, MediaAnswer, MediaOffer, Meeting, SlotRequest, Track, WatchMessage } from "@/session/model";
import {
  type Credentials,
  durationMs,
  fromOffer,
  fromSlotRequest,
  fromTrack,
  idOf,
  meetingName,
  participantName,
  toAnswer,
  toCredentials,
  toMeeting,
  toParticipant,
  toSnapshot,
  toWatchMessage,
} from "./convert";
import { toExplanation } from "./convert_explanation";
import { toCallError } from "./errors";

/** How long a unary call may take before it counts as unanswered. */
const DEADLINE_MS = 10_000;
/** What is asked for again each second is soon worth nothing. */
const EXPLAIN_DEADLINE_MS = 3_000;

/**
 * Asked when the service refuses a user's token: gives another one to call with, or undefined when the token is none of a user's.
 * Throws when the user is signed out.
 */
export type TokenKeeper = (token: string, reason: string) => Promise<string | undefined>;

let keeper: TokenKeeper = async () => undefined;

export function keepTokens(by: TokenKeeper): void {
  keeper = by;
}

const BEARER = "Bearer ";

/** A call whose token was refused is made once more with a new one: this device's clock may be wrong, or the sign-in over. */
const withGoodToken: Interceptor = (next) => async (request) => {
  try {
    return await next(request);
  } catch (thrown) {
    const error = toCallError(thrown);
    const token = request.header.get("authorization")?.slice(BEARER.length);
    const fresh = error.code === Code.Unauthenticated && token ? await keeper(token, error.reason) : undefined;
    if (!fresh || request.stream) {
      throw thrown;
    }
    request.header.set("authorization", BEARER + fresh);
    return next(request);
  }
};

const baseUrl = globalThis.location?.origin ?? "http://localhost";
const transport = createGrpcWebTransport({ baseUrl, useBinaryFormat: true, interceptors: [withGoodToken] });
/** For what must still go out while the page closes. */
const lastWords = createGrpcWebTransport({
  baseUrl,
  useBinaryFormat: true,
  fetch: (input, init) => fetch(input, { ...init, keepalive: true }),
});

const identity = createClient(IdentityService, transport);
const meetings = createClient(MeetingService, transport);
const signaling = createClient(SignalingService, transport);
const closing = createClient(SignalingService, lastWords);

export const newRequestId = (): string => crypto.randomUUID();

interface Options {
  readonly token?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly traceparent?: string | undefined;
  readonly timeoutMs?: number;
}

function callOptions({ token, signal, traceparent, timeoutMs = DEADLINE_MS }: Options): CallOptions {
  const headers = new Headers();
  if (token) {
    headers.set("authorization", BEARER + token);
  }
  if (traceparent) {
    headers.set("traceparent", traceparent);
  }
  return { headers, timeoutMs, ...(signal && { signal }) };
}

async function call<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (thrown) {
    throw toCallError(thrown);
  }
}

// ---------------------------------------------------------------- people

export interface SignedIn {
  readonly credentials: Credentials;
  readonly displayName: string;
  readonly email: string;
}

export async function signIn(email: string, password: string): Promise<SignedIn> {
  const { user, credentials } = await call(identity.signIn({ email, password }, callOptions({})));
  return { credentials: toCredentials(credentials), displayName: user?.displayName ?? "", email: user?.email ?? "" };
}

export async function signUp(
  email: string,
  password: string,
  displayName: string,
  requestId: string,
): Promise<SignedIn> {
  const request = { email, password, displayName, requestId };
  const { user, credentials } = await call(identity.signUp(request, callOptions({})));
  return { credentials: toCredentials(credentials), displayName: user?.displayName ?? displayName, email };
}

export async function refresh(refreshToken: string): Promise<Credentials> {
  return toCredentials((await call(identity.refreshCredentials({ refreshToken }, callOptions({})))).credentials);
}

export async function revoke(token: string, session: string): Promise<void> {
  await call(identity.revokeUserSession({ name: session }, callOptions({ token })));
}

/** A guest who may start meetings. */
export async function createGuestUser(): Promise<Credentials> {
  return toCredentials((await call(identity.createGuestSession({}, callOptions({})))).credentials);
}

/** A guest of one meeting. */
export async function createGuest(meeting: string, passcode: string): Promise<Credentials> {
  const request = { meeting: meetingName(meeting), passcode };
  return toCredentials((await call(identity.createGuestSession(request, callOptions({})))).credentials);
}

// ---------------------------------------------------------------- meetings

export async function createMeeting(token: string, requestId: string): Promise<Meeting> {
  const { meeting } = await call(meetings.createMeeting({ meeting: {}, requestId }, callOptions({ token })));
  return toMeeting(meeting);
}

/** What somebody about to join sees. */
export interface Preview {
  readonly topic: string;
  readonly hostDisplayName: string;
  readonly participantCount: number;
  readonly muteOnEntry: boolean;
  readonly callerIsHost: boolean;
}

export async function lookUpMeeting(token: string | undefined, meeting: string, passcode: string): Promise<Preview> {
  return call(meetings.lookUpMeeting({ name: meetingName(meeting), passcode }, callOptions({ token })));
}

export async function endMeeting(token: string, meeting: string): Promise<void> {
  const request = { name: meetingName(meeting), requestId: newRequestId() };
  await call(meetings.endMeeting(request, callOptions({ token })));
}

/** A new passcode, which only the host may give; the old one and links with it stop working. */
export async function regeneratePasscode(token: string, meeting: string): Promise<Meeting> {
  const request = { name: meetingName(meeting), requestId: newRequestId() };
  return toMeeting((await call(meetings.regeneratePasscode(request, callOptions({ token })))).meeting);
}

// ---------------------------------------------------------------- being in a meeting

export interface JoinRequest {
  readonly token: string;
  readonly meeting: string;
  readonly passcode: string;
  readonly displayName: string;
  readonly offer: MediaOffer;
  readonly requestId: string;
  readonly traceparent?: string | undefined;
}

export async function joinMeeting(request: JoinRequest): Promise<Joined> {
  const { meeting, passcode, displayName, requestId, token, traceparent } = request;
  const offer = fromOffer(meeting, request.offer);
  const message = { meeting: meetingName(meeting), passcode, displayName, requestId, offer };
  const joined = await call(signaling.joinMeeting(message, callOptions({ token, traceparent })));
  if (!joined.participant) {
    throw toCallError(new Error("the service named no participant"));
  }
  return {
    self: toParticipant(joined.participant),
    token: joined.participantToken,
    answer: toAnswer(joined.answer),
    snapshot: toSnapshot(joined.snapshot),
    cursor: joined.cursor,
    heartbeatMs: durationMs(joined.heartbeatInterval) || 10_000,
  };
}

/** Who calls: a participant of a meeting with its token. */
export interface Caller {
  readonly token: string;
  readonly meeting: string;
  readonly participant: string;
}

const nameOf = ({ meeting, participant }: Caller): string => participantName(meeting, participant);

export async function renegotiateMedia(
  caller: Caller,
  mediaOffer: MediaOffer,
  requestId: string,
): Promise<MediaAnswer> {
  const message = { name: nameOf(caller), offer: fromOffer(caller.meeting, mediaOffer), requestId };
  return toAnswer((await call(signaling.renegotiateMedia(message, callOptions(caller)))).answer);
}

export async function* watchSession(caller: Caller, cursor: string, signal: AbortSignal): AsyncGenerator<WatchMessage> {
  const options = callOptions({ token: caller.token, signal, timeoutMs: 0 });
  try {
    const request = { name: nameOf(caller), cursor, eventBatches: true };
    for await (const message of signaling.watchSession(request, options)) {
      yield toWatchMessage(message);
    }
  } catch (thrown) {
    throw toCallError(thrown);
  }
}

export async function updateSlots(caller: Caller, requests: readonly SlotRequest[]): Promise<void> {
  const slots = requests.map((request) => fromSlotRequest(caller.meeting, request));
  await call(signaling.updateSlots({ name: nameOf(caller), slots }, callOptions(caller)));
}

export async function updateTracks(caller: Caller, tracks: readonly Track[]): Promise<void> {
  await call(signaling.updateTracks({ name: nameOf(caller), tracks: tracks.map(fromTrack) }, callOptions(caller)));
}

export async function explainSession(caller: Caller): Promise<Explanation> {
  const options = callOptions({ ...caller, timeoutMs: EXPLAIN_DEADLINE_MS });
  return toExplanation((await call(signaling.explainSession({ name: nameOf(caller) }, options))).explanation);
}

export async function sendReaction(caller: Caller, emoji: string): Promise<void> {
  const message = { name: nameOf(caller), emoji, requestId: newRequestId() };
  await call(signaling.sendReaction(message, callOptions(caller)));
}

export async function heartbeat(caller: Caller): Promise<{ intervalMs: number; token: string }> {
  const answer = await call(
    signaling.heartbeat({ name: nameOf(caller) }, callOptions({ ...caller, timeoutMs: 5_000 })),
  );
  return { intervalMs: durationMs(answer.heartbeatInterval) || 10_000, token: answer.participantToken };
}

export async function leaveMeeting(caller: Caller): Promise<void> {
  await call(closing.leaveMeeting({ name: nameOf(caller) }, callOptions({ ...caller, timeoutMs: 3_000 })));
}

/** The calls a meeting session makes; tests put a fake in their place. */
export interface SignalingPort {
  joinMeeting: typeof joinMeeting;
  renegotiateMedia: typeof renegotiateMedia;
  watchSession: typeof watchSession;
  updateSlots: typeof updateSlots;
  updateTracks: typeof updateTracks;
  explainSession: typeof explainSession;
  sendReaction: typeof sendReaction;
  heartbeat: typeof heartbeat;
  leaveMeeting: typeof leaveMeeting;
}

export const signalingPort: SignalingPort = {
  joinMeeting,
  renegotiateMedia,
  watchSession,
  updateSlots,
  updateTracks,
  explainSession,
  sendReaction,
  heartbeat,
  leaveMeeting,
};

export { type Credentials, idOf };
