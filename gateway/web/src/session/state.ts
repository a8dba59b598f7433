/** The one store of a meeting and the pure function that grows it: same messages, same screen. */

import type { Problem } from "@/rpc/words";
import type {
  LeaveReason,
  Meeting,
  MeetingEvent,
  Participant,
  SlotAssignment,
  Snapshot,
  TrackEncodings,
} from "./model";

/** Why a meeting is over for the one who looks; `failed` comes with a problem. */
export type Ending = "left" | "ended" | "removed" | "elsewhere" | "failed";

export interface Reaction {
  /** Unique within the session, in order. */
  readonly key: number;
  readonly participant: string;
  readonly emoji: string;
}

/** Something worth saying aloud: somebody came, went or shares. */
export interface Notice {
  readonly key: number;
  readonly text: string;
}

export interface SessionState {
  readonly selfId: string;
  readonly meeting: Meeting;
  /** Everyone by join time. */
  readonly participants: readonly Participant[];
  /** Everyone but oneself in the order of the stage: who speaks is brought to the first page, nobody else moves. */
  readonly order: readonly string[];
  /** When each last spoke, counted in changes of the dominant speaker. */
  readonly spoke: Readonly<Record<string, number>>;
  readonly turns: number;
  readonly dominantSpeaker: string;
  /** By the slot's mid. */
  readonly slots: Readonly<Record<string, SlotAssignment>>;
  /** RTP stream ids that are needed, by the mid of one's own track; of a track that is not named all are. */
  readonly encodings: Readonly<Record<string, readonly string[]>>;
  /** Names of codecs that one's own tracks are to be sent in, by mid; others in the one that the answer names first. */
  readonly codecs: Readonly<Record<string, string>>;
  readonly reactions: readonly Reaction[];
  readonly notices: readonly Notice[];
  readonly nextKey: number;
  /** How many of `order` the first page of the layout shows. */
  readonly capacity: number;
  /** Why it is over; undefined while it lasts. */
  readonly ending: Ending | undefined;
  /** What keeps somebody from coming back in. */
  readonly problem: Problem | undefined;
  /** The event stream: whether what is shown is current. */
  readonly signal: "live" | "lost";
  /** Whether the service has left the latest call without any answer. */
  readonly unanswered: boolean;
  /** Whether media comes over the connection. */
  readonly flows: boolean;
  /** The media session; `blocked`: several connections in a row did not come up. */
  readonly media: "connecting" | "connected" | "lost" | "blocked";
}

export type Action =
  | {
      readonly type: "joined";
      readonly selfId: string;
      readonly snapshot: Snapshot;
      readonly slots: readonly SlotAssignment[];
    }
  | { readonly type: "snapshot"; readonly snapshot: Snapshot }
  | { readonly type: "event"; readonly event: MeetingEvent }
  | { readonly type: "slots"; readonly slots: readonly SlotAssignment[] }
  | { readonly type: "renewing" }
  | { readonly type: "signal"; readonly signal: SessionState["signal"] }
  | { readonly type: "answered"; readonly answered: boolean }
  | { readonly type: "flow"; readonly flows: boolean }
  | { readonly type: "media"; readonly media: SessionState["media"] }
  | { readonly type: "capacity"; readonly capacity: number }
  | { readonly type: "expire"; readonly key: number }
  | { readonly type: "ending"; readonly ending: Ending; readonly problem?: Problem };

export const EMPTY: SessionState = {
  selfId: "",
  meeting: { id: "", topic: "", hostDisplayName: "", passcode: "", ended: false },
  participants: [],
  order: [],
  spoke: {},
  turns: 0,
  dominantSpeaker: "",
  slots: {},
  encodings: {},
  codecs: {},
  reactions: [],
  notices: [],
  nextKey: 1,
  capacity: 8,
  ending: undefined,
  problem: undefined,
  signal: "live",
  unanswered: false,
  flows: true,
  media: "connecting",
};

/** The state after an action. */
export function reduce(state: SessionState, action: Action): SessionState {
  switch (action.type) {
    case "joined": {
      const live = { ending: undefined, signal: "live" as const, slots: {}, encodings: {}, codecs: {} };
      const fresh = { ...state, selfId: action.selfId, ...live };
      return withSlots(withSnapshot(fresh, action.snapshot), action.slots);
    }
    case "snapshot":
      return withSnapshot(state, action.snapshot);
    case "event":
      return withEvent(state, action.event);
    case "slots":
      return withSlots(state, action.slots);
    case "renewing":
      // A new media session begins with all encodings.
      return { ...state, encodings: {}, codecs: {} };
    case "signal":
      return state.signal === action.signal ? state : { ...state, signal: action.signal };
    case "answered":
      return state.unanswered === !action.answered ? state : { ...state, unanswered: !action.answered };
    case "flow":
      return state.flows === action.flows ? state : { ...state, flows: action.flows };
    case "media":
      return state.media === action.media ? state : { ...state, media: action.media };
    case "capacity":
      return state.capacity === action.capacity ? state : promote({ ...state, capacity: action.capacity });
    case "expire":
      return {
        ...state,
        reactions: state.reactions.filter(({ key }) => key !== action.key),
        notices: state.notices.filter(({ key }) => key !== action.key),
      };
    case "ending":
      return state.ending ? state : { ...state, ending: action.ending, problem: action.problem };
  }
}

/** Replaces what is known; whoever stays keeps their place on the stage. */
function withSnapshot(state: SessionState, snapshot: Snapshot): SessionState {
  const present = snapshot.participants.filter(({ presence }) => presence !== "left" && presence !== "waiting");
  const ids = present.map(({ id }) => id).filter((id) => id !== state.selfId);
  const staying = state.order.filter((id) => ids.includes(id));
  const coming = ids.filter((id) => !staying.includes(id));
  const next = {
    ...state,
    meeting: keepSecrets(state.meeting, snapshot.meeting),
    participants: present,
    order: [...staying, ...coming],
    ending: snapshot.meeting.ended ? ("ended" as const) : state.ending,
  };
  const heard = withDominantSpeaker({ ...next, encodings: {}, codecs: {} }, snapshot.dominantSpeaker);
  return withEncodings(withSlots(heard, snapshot.slots), snapshot.encodings);
}

function withEvent(state: SessionState, event: MeetingEvent): SessionState {
  switch (event.kind) {
    case "participant-joined":
    case "participant-updated":
      return withParticipant(state, event.participant);
    case "participant-left":
      return withoutParticipant(state, event.participant, event.reason);
    case "dominant-speaker-changed":
      return withDominantSpeaker(state, event.participant);
    case "slots-changed":
      return withSlots(state, event.slots);
    case "encodings-changed":
      return withEncodings(state, event.tracks);
    case "reaction-sent": {
      const reaction = { key: state.nextKey, participant: event.participant, emoji: event.emoji };
      return { ...state, nextKey: state.nextKey + 1, reactions: [...state.reactions, reaction].slice(-30) };
    }
    case "meeting-updated":
      return { ...state, meeting: keepSecrets(state.meeting, event.meeting) };
    case "meeting-ended":
      return { ...state, ending: state.ending ?? "ended" };
    case "media-moved":
      return state;
    case "passcode-guessed":
      return notice(state, "Somebody may be guessing the passcode. Give a new one in the list of participants.");
  }
}

/** Events carry no passcode; the one from the snapshot stays good. */
function keepSecrets(known: Meeting, next: Meeting): Meeting {
  return { ...next, passcode: next.passcode || known.passcode };
}

function withParticipant(state: SessionState, participant: Participant): SessionState {
  if (participant.presence === "left" || participant.presence === "waiting") {
    return withoutParticipant(state, participant.id, "left");
  }
  const before = state.participants.find(({ id }) => id === participant.id);
  if (before) {
    const participants = state.participants.map((known) => (known.id === participant.id ? participant : known));
    return notice({ ...state, participants }, sharingNotice(state, before, participant));
  }
  const next = { ...state, participants: [...state.participants, participant] };
  if (participant.id === state.selfId) {
    return next;
  }
  return notice({ ...next, order: [...state.order, participant.id] }, `${participant.displayName} joined`);
}

function sharingNotice(state: SessionState, before: Participant, after: Participant): string {
  const shares = (participant: Participant) => participant.tracks.some((t) => t.source === "screen" && !t.muted);
  if (after.id === state.selfId || shares(before) === shares(after)) {
    return "";
  }
  return shares(after) ? `${after.displayName} is sharing their screen` : `${after.displayName} stopped sharing`;
}

function withoutParticipant(state: SessionState, id: string, reason: LeaveReason): SessionState {
  if (id === state.selfId) {
    const ending = ENDINGS[reason];
    return ending ? { ...state, ending: state.ending ?? ending } : state;
  }
  const gone = state.participants.find((participant) => participant.id === id);
  if (!gone) {
    return state;
  }
  const next = {
    ...state,
    participants: state.participants.filter((participant) => participant !== gone),
    order: state.order.filter((other) => other !== id),
    dominantSpeaker: state.dominantSpeaker === id ? "" : state.dominantSpeaker,
  };
  return reason === "ended" ? next : notice(next, `${gone.displayName} left`);
}

/** What one's own departure means; an expired presence is none: the session joins again. */
const ENDINGS: Readonly<Partial<Record<LeaveReason, Ending>>> = { left: "left", removed: "removed", ended: "ended" };

function notice(state: SessionState, text: string): SessionState {
  if (!text) {
    return state;
  }
  const notices = [...state.notices, { key: state.nextKey, text }].slice(-4);
  return { ...state, nextKey: state.nextKey + 1, notices };
}

function withSlots(state: SessionState, slots: readonly SlotAssignment[]): SessionState {
  if (slots.length === 0) {
    return state;
  }
  return { ...state, slots: { ...state.slots, ...Object.fromEntries(slots.map((slot) => [slot.mid, slot])) } };
}

function withEncodings(state: SessionState, tracks: readonly TrackEncodings[]): SessionState {
  const encodings = Object.fromEntries(tracks.map(({ mid, rids }) => [mid, rids]));
  const codecs = Object.fromEntries(tracks.map(({ mid, codec }) => [mid, codec]));
  return { ...state, encodings: { ...state.encodings, ...encodings }, codecs: { ...state.codecs, ...codecs } };
}

function withDominantSpeaker(state: SessionState, id: string): SessionState {
  if (!id || id === state.dominantSpeaker) {
    return { ...state, dominantSpeaker: id };
  }
  const turns = state.turns + 1;
  return promote({ ...state, dominantSpeaker: id, turns, spoke: { ...state.spoke, [id]: turns } });
}

/** Brings the dominant speaker to the first page, in exchange for whoever there has been silent longest. */
function promote(state: SessionState): SessionState {
  const { order, capacity, dominantSpeaker, spoke } = state;
  const from = order.indexOf(dominantSpeaker);
  if (from < capacity || capacity < 1) {
    return state;
  }
  const silence = order.slice(0, capacity).map((id) => spoke[id] ?? 0);
  // The last of the most silent: those who came first keep their place.
  const to = silence.lastIndexOf(Math.min(...silence));
  const moved = order.map((id, index) => (index === to ? dominantSpeaker : index === from ? (order[to] ?? id) : id));
  return { ...state, order: moved };
}

export const isSelf = (state: SessionState, id: string): boolean => id === state.selfId;

export function participantById(state: SessionState, id: string): Participant | undefined {
  return state.participants.find((participant) => participant.id === id);
}

/** The mid of the slot that carries this track of this participant now. */
export function slotOf(state: SessionState, participant: string, sourceMid: string): string | undefined {
  return Object.values(state.slots).find((slot) => slot.participant === participant && slot.sourceMid === sourceMid)
    ?.mid;
}
