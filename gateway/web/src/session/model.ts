/** What the client knows of a meeting, in its own words; `rpc/convert.ts` translates from the contracts. */

export type Role = "host" | "co-host" | "panelist" | "participant" | "attendee";
export type Presence = "waiting" | "joining" | "connected" | "reconnecting" | "left";
export type TrackSource = "microphone" | "camera" | "screen" | "screen-audio";

export interface Track {
  /** `a=mid` of the m-line in the sender's offer. */
  readonly mid: string;
  readonly kind: "audio" | "video";
  readonly source: TrackSource;
  readonly muted: boolean;
}

export interface Participant {
  /** UUID: the last part of the resource name. */
  readonly id: string;
  readonly displayName: string;
  /** The same for names that look alike; only to be compared. */
  readonly skeleton?: string;
  /** `users/{user}` of somebody with an account, else empty. */
  readonly user?: string;
  readonly role: Role;
  readonly presence: Presence;
  readonly tracks: readonly Track[];
}

export interface Meeting {
  /** The 11-digit number. */
  readonly id: string;
  readonly topic: string;
  readonly hostDisplayName: string;
  /** Known to the host alone, else empty. */
  readonly passcode: string;
  readonly ended: boolean;
}

/** What a slot of the caller's carries; empty strings: nothing. */
export interface SlotAssignment {
  readonly mid: string;
  readonly participant: string;
  readonly sourceMid: string;
}

/** What is needed of one of the caller's tracks. */
export interface TrackEncodings {
  readonly mid: string;
  /** RTP stream ids of a simulcast track that somebody needs; none: it has no simulcast, or nobody needs any. */
  readonly rids: readonly string[];
  /** Name of the codec to send it in; empty: the one that the answer names first. */
  readonly codec: string;
}

export interface Snapshot {
  readonly meeting: Meeting;
  /** Everyone who is in it, oneself among them, by join time. */
  readonly participants: readonly Participant[];
  readonly slots: readonly SlotAssignment[];
  /** Of a track that is not named all are needed. */
  readonly encodings: readonly TrackEncodings[];
  readonly dominantSpeaker: string;
}

export type LeaveReason = "left" | "expired" | "removed" | "ended";

export type MeetingEvent =
  | { readonly kind: "participant-joined"; readonly participant: Participant }
  | { readonly kind: "participant-updated"; readonly participant: Participant }
  | { readonly kind: "participant-left"; readonly participant: string; readonly reason: LeaveReason }
  | { readonly kind: "dominant-speaker-changed"; readonly participant: string }
  | { readonly kind: "slots-changed"; readonly slots: readonly SlotAssignment[] }
  | { readonly kind: "encodings-changed"; readonly tracks: readonly TrackEncodings[] }
  | { readonly kind: "reaction-sent"; readonly participant: string; readonly emoji: string }
  | { readonly kind: "meeting-updated"; readonly meeting: Meeting }
  | { readonly kind: "meeting-ended"; readonly participant: string }
  | { readonly kind: "media-moved"; readonly epoch: bigint }
  | { readonly kind: "passcode-guessed"; readonly failures: number };

/** `turn-over`: said on this side, where tabs share few connections. */
export type GoAwayReason = "shutting-down" | "too-slow" | "left" | "replaced" | "turn-over";

/** One message of the watch stream. */
export interface WatchMessage {
  readonly sequence: bigint;
  readonly cursor: string;
  readonly body:
    | { readonly kind: "snapshot"; readonly snapshot: Snapshot }
    | { readonly kind: "events"; readonly events: readonly MeetingEvent[] }
    | { readonly kind: "checkpoint" }
    | { readonly kind: "go-away"; readonly reason: GoAwayReason; readonly delayMs: number };
}

/** What a video slot shall show. */
export interface SlotRequest {
  readonly mid: string;
  readonly selection:
    | { readonly kind: "source"; readonly participant: string; readonly mid: string }
    | { readonly kind: "automatic" }
    | { readonly kind: "empty" };
  /** Device pixels that it is shown high; not given: unknown. */
  readonly maxHeight?: number;
  /** 0 to 100: larger is served first when bandwidth is short. */
  readonly priority?: number;
}

export interface MediaOffer {
  readonly sdp: string;
  readonly tracks: readonly Track[];
  readonly slots: readonly SlotRequest[];
}

export interface MediaAnswer {
  readonly sdp: string;
  readonly slots: readonly SlotAssignment[];
  readonly iceServers: readonly RTCIceServer[];
  readonly epoch: bigint;
}

/** What a join brings. */
export interface Joined {
  readonly self: Participant;
  readonly token: string;
  readonly answer: MediaAnswer;
  readonly snapshot: Snapshot;
  readonly cursor: string;
  readonly heartbeatMs: number;
}

/** What sets somebody apart from those who came before: another device of the same account, or a name like another's. */
export type Resemblance = "other-device" | "similar-name";

/** Those who are to be marked, by id; `participants` by the time they came. */
export function resemblances(participants: readonly Participant[]): ReadonlyMap<string, Resemblance> {
  const found = new Map<string, Resemblance>();
  for (const [index, person] of participants.entries()) {
    const before = participants.slice(0, index);
    if (person.user && before.some(({ user }) => user === person.user)) {
      found.set(person.id, "other-device");
    } else if (person.skeleton && before.some(({ skeleton }) => skeleton === person.skeleton)) {
      found.set(person.id, "similar-name");
    }
  }
  return found;
}

/** The track of this source, if the participant's offer has one. */
export function trackOf(participant: Participant, source: TrackSource): Track | undefined {
  return participant.tracks.find((track) => track.source === source);
}

/** Whether the participant sends this source now. */
export function sends(participant: Participant, source: TrackSource): boolean {
  const track = trackOf(participant, source);
  return track !== undefined && !track.muted;
}
