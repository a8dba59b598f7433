/** Between the contracts' messages and the client's own words. */

import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Duration, type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Credentials as CredentialsPb } from "@gen/identity/v1/session_pb";
import type { TrackEncodings as TrackEncodingsPb } from "@gen/meeting/v1/explanation_pb";
import { type Meeting as MeetingPb, MeetingState } from "@gen/meeting/v1/meeting_pb";
import { type Participant as ParticipantPb, ParticipantRole, ParticipantState } from "@gen/meeting/v1/participant_pb";
import {
  TrackKind,
  type Track as TrackPb,
  type TrackSchema,
  TrackSource as TrackSourcePb,
} from "@gen/meeting/v1/track_pb";
import {
  type Event as EventPb,
  LeaveReason as LeaveReasonPb,
  type Snapshot as SnapshotPb,
} from "@gen/signaling/v1/event_pb";
import type { SlotAssignment as SlotAssignmentPb, SlotRequestSchema } from "@gen/signaling/v1/session_pb";
import {
  GoAwayReason as GoAwayReasonPb,
  type MediaAnswer as MediaAnswerPb,
  type MediaOfferSchema,
  type WatchSessionResponse,
} from "@gen/signaling/v1/signaling_service_pb";
import type {
  GoAwayReason,
  LeaveReason,
  MediaAnswer,
  MediaOffer,
  Meeting,
  MeetingEvent,
  Participant,
  Presence,
  Role,
  SlotAssignment,
  SlotRequest,
  Snapshot,
  Track,
  TrackEncodings,
  TrackSource,
  WatchMessage,
} from "@/session/model";

const ROLES: Readonly<Record<ParticipantRole, Role>> = {
  [ParticipantRole.UNSPECIFIED]: "participant",
  [ParticipantRole.HOST]: "host",
  [ParticipantRole.CO_HOST]: "co-host",
  [ParticipantRole.PANELIST]: "panelist",
  [ParticipantRole.PARTICIPANT]: "participant",
  [ParticipantRole.ATTENDEE]: "attendee",
};

const PRESENCES: Readonly<Record<ParticipantState, Presence>> = {
  [ParticipantState.UNSPECIFIED]: "connected",
  [ParticipantState.WAITING]: "waiting",
  [ParticipantState.JOINING]: "joining",
  [ParticipantState.CONNECTED]: "connected",
  [ParticipantState.RECONNECTING]: "reconnecting",
  [ParticipantState.LEFT]: "left",
};

const SOURCES: Readonly<Record<TrackSourcePb, TrackSource>> = {
  [TrackSourcePb.UNSPECIFIED]: "camera",
  [TrackSourcePb.MICROPHONE]: "microphone",
  [TrackSourcePb.CAMERA]: "camera",
  [TrackSourcePb.SCREEN]: "screen",
  [TrackSourcePb.SCREEN_AUDIO]: "screen-audio",
};

const SOURCES_PB: Readonly<Record<TrackSource, TrackSourcePb>> = {
  microphone: TrackSourcePb.MICROPHONE,
  camera: TrackSourcePb.CAMERA,
  screen: TrackSourcePb.SCREEN,
  "screen-audio": TrackSourcePb.SCREEN_AUDIO,
};

const LEAVE_REASONS: Readonly<Record<LeaveReasonPb, LeaveReason>> = {
  [LeaveReasonPb.UNSPECIFIED]: "left",
  [LeaveReasonPb.LEFT]: "left",
  [LeaveReasonPb.PRESENCE_EXPIRED]: "expired",
  [LeaveReasonPb.REMOVED]: "removed",
  [LeaveReasonPb.MEETING_ENDED]: "ended",
};

const GO_AWAY_REASONS: Readonly<Record<GoAwayReasonPb, GoAwayReason>> = {
  [GoAwayReasonPb.UNSPECIFIED]: "shutting-down",
  [GoAwayReasonPb.SHUTTING_DOWN]: "shutting-down",
  [GoAwayReasonPb.TOO_SLOW]: "too-slow",
  [GoAwayReasonPb.LEFT]: "left",
  [GoAwayReasonPb.REPLACED]: "replaced",
};

/** The last part of a resource name. */
export const idOf = (name: string): string => name.slice(name.lastIndexOf("/") + 1);
export const meetingName = (id: string): string => `meetings/${id}`;
export const participantName = (meeting: string, id: string): string => `meetings/${meeting}/participants/${id}`;

export const durationMs = (duration: Duration | undefined): number | undefined =>
  duration && Number(duration.seconds) * 1000 + duration.nanos / 1e6;

/** What a client keeps after a sign-in. */
export interface Credentials {
  readonly accessToken: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  /** Empty for guests of one meeting. */
  readonly refreshToken: string;
  readonly session: string;
}

export function toCredentials(pb: CredentialsPb | undefined): Credentials {
  return {
    accessToken: pb?.accessToken ?? "",
    expiresAt: expiry(pb?.accessTokenLifetime, pb?.accessTokenExpireTime),
    refreshToken: pb?.refreshToken ?? "",
    session: pb?.session ?? "",
  };
}

/** By this device's clock, which may be wrong by hours; an older service says by its own alone. */
function expiry(lifetime: Duration | undefined, timestamp: Timestamp | undefined): number {
  if (lifetime) {
    return Date.now() + (durationMs(lifetime) ?? 0);
  }
  return timestamp ? timestampMs(timestamp) : Date.now() + 60_000;
}

export function toMeeting(pb: MeetingPb | undefined): Meeting {
  return {
    id: idOf(pb?.name ?? ""),
    topic: pb?.topic ?? "",
    hostDisplayName: pb?.hostDisplayName ?? "",
    passcode: pb?.passcode ?? "",
    ended: pb?.state === MeetingState.ENDED,
  };
}

export function toParticipant(pb: ParticipantPb): Participant {
  return {
    id: idOf(pb.name),
    displayName: pb.displayName,
    skeleton: pb.nameSkeleton,
    user: pb.user,
    role: ROLES[pb.role] ?? "participant",
    presence: PRESENCES[pb.state] ?? "connected",
    tracks: pb.tracks.map(toTrack),
  };
}

function toTrack(pb: TrackPb): Track {
  return {
    mid: pb.mid,
    kind: pb.kind === TrackKind.AUDIO ? "audio" : "video",
    source: SOURCES[pb.source] ?? "camera",
    muted: pb.muted,
  };
}

export function fromTrack(track: Track): MessageInitShape<typeof TrackSchema> {
  return {
    mid: track.mid,
    kind: track.kind === "audio" ? TrackKind.AUDIO : TrackKind.VIDEO,
    source: SOURCES_PB[track.source],
    muted: track.muted,
  };
}

function toSlotAssignment(pb: SlotAssignmentPb): SlotAssignment {
  return { mid: pb.mid, participant: idOf(pb.participant), sourceMid: pb.sourceMid };
}

function toTrackEncodings({ mid, rids, codec }: TrackEncodingsPb): TrackEncodings {
  return { mid, rids, codec };
}

/** A slot request of a participant of `meeting`. */
export function fromSlotRequest(meeting: string, request: SlotRequest): MessageInitShape<typeof SlotRequestSchema> {
  const { mid, selection, maxHeight = 0, priority = 0 } = request;
  const shown = { mid, maxHeight, priority };
  if (selection.kind === "source") {
    const participant = participantName(meeting, selection.participant);
    return { ...shown, selection: { case: "source", value: { participant, mid: selection.mid } } };
  }
  return { ...shown, selection: { case: selection.kind, value: {} } };
}

export function fromOffer(meeting: string, offer: MediaOffer): MessageInitShape<typeof MediaOfferSchema> {
  return {
    sdp: offer.sdp,
    tracks: offer.tracks.map(fromTrack),
    slots: offer.slots.map((slot) => fromSlotRequest(meeting, slot)),
  };
}

export function toAnswer(pb: MediaAnswerPb | undefined): MediaAnswer {
  return {
    sdp: pb?.sdp ?? "",
    slots: (pb?.slots ?? []).map(toSlotAssignment),
    iceServers: (pb?.iceServers ?? []).map(({ uris, username, credential }) => ({ urls: uris, username, credential })),
    epoch: pb?.epoch ?? 0n,
  };
}

export function toSnapshot(pb: SnapshotPb | undefined): Snapshot {
  return {
    meeting: toMeeting(pb?.meeting),
    participants: (pb?.participants ?? []).map(toParticipant),
    slots: (pb?.slots ?? []).map(toSlotAssignment),
    encodings: (pb?.encodings ?? []).map(toTrackEncodings),
    dominantSpeaker: idOf(pb?.dominantSpeaker ?? ""),
  };
}

/** A message of the stream; undefined when it is of a kind this client doesn't know. */
export function toWatchMessage(pb: WatchSessionResponse): WatchMessage {
  const body = toBody(pb) ?? { kind: "checkpoint" };
  return { sequence: pb.sequence, cursor: pb.cursor, body };
}

function toBody(pb: WatchSessionResponse): WatchMessage["body"] | undefined {
  const { message } = pb;
  switch (message.case) {
    case "snapshot":
      return { kind: "snapshot", snapshot: toSnapshot(message.value) };
    case "goAway": {
      const delayMs = durationMs(message.value.retryDelay) ?? 0;
      return { kind: "go-away", reason: GO_AWAY_REASONS[message.value.reason] ?? "shutting-down", delayMs };
    }
    case "event":
      return toEvents([message.value]);
    case "eventBatch":
      return toEvents(message.value.events);
    default:
      return undefined;
  }
}

function toEvents(pbs: readonly EventPb[]): WatchMessage["body"] | undefined {
  const events = pbs.map(toEvent).filter((event) => event !== undefined);
  return events.length > 0 ? { kind: "events", events } : undefined;
}

function toEvent({ kind }: EventPb): MeetingEvent | undefined {
  switch (kind.case) {
    case "participantJoined":
    case "participantUpdated": {
      const { participant } = kind.value;
      const as = kind.case === "participantJoined" ? "participant-joined" : "participant-updated";
      return participant && { kind: as, participant: toParticipant(participant) };
    }
    case "participantLeft": {
      const reason = LEAVE_REASONS[kind.value.reason] ?? "left";
      return { kind: "participant-left", participant: idOf(kind.value.participant), reason };
    }
    case "dominantSpeakerChanged":
      return { kind: "dominant-speaker-changed", participant: idOf(kind.value.participant) };
    case "slotsChanged":
      return { kind: "slots-changed", slots: kind.value.slots.map(toSlotAssignment) };
    case "encodingsChanged":
      return { kind: "encodings-changed", tracks: kind.value.tracks.map(toTrackEncodings) };
    case "reactionSent":
      return { kind: "reaction-sent", participant: idOf(kind.value.participant), emoji: kind.value.emoji };
    case "meetingUpdated":
      return { kind: "meeting-updated", meeting: toMeeting(kind.value.meeting) };
    case "meetingEnded":
      return { kind: "meeting-ended", participant: idOf(kind.value.participant) };
    case "passcodeGuessed":
      return { kind: "passcode-guessed", failures: kind.value.failureCount };
    case "mediaMoved":
      return { kind: "media-moved", epoch: kind.value.epoch };
    default:
      return undefined;
  }
}
