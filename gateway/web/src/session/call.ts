/** A meeting with its media in this browser: the session, the slots' elements and the levels, made at the click on "Join now". */

import { Levels } from "@/media/levels";
import { LipSync } from "@/media/lip_sync";
import type { LocalMedia } from "@/media/local_media";
import type { Meter } from "@/media/meter";
import { Peer } from "@/media/peer";
import { SlotMedia } from "@/media/slot_media";
import { type SignalingPort, signalingPort } from "@/rpc/api";
import type { Entry } from "@/rpc/credentials";
import type { CallError } from "@/rpc/errors";
import { systemClock } from "@/rpc/retry";
import { JoinTrace } from "@/telemetry/join_trace";
import { MeetingSession } from "./meeting_session";
import { sends } from "./model";
import { Pointers } from "./pointers";
import { connectionsAreFew, inTurns } from "./shared_connections";

export interface CallOptions {
  readonly meeting: string;
  readonly passcode: string;
  readonly displayName: string;
  readonly entry: Entry;
  readonly local: LocalMedia;
  readonly meter: Meter;
}

/** The service's calls where tabs must share connections. */
const sharingConnections: SignalingPort = {
  ...signalingPort,
  watchSession: (caller, cursor, signal) => {
    const open = (from: string, streamSignal: AbortSignal) => signalingPort.watchSession(caller, from, streamSignal);
    return inTurns(open, navigator.locks, systemClock)(cursor, signal);
  },
};

/** How long the trace of a join waits for the first picture. */
const FIRST_FRAME_MS = 10_000;

export class Call {
  readonly media = new SlotMedia();
  readonly session: MeetingSession;
  readonly levels: Levels;
  private readonly lipSync: LipSync;
  readonly local: LocalMedia;
  readonly pointers: Pointers;
  /** The mids of the video slots; the same for every connection, since all have the same shape. */
  videoMids: readonly string[] = [];
  private readonly life = new AbortController();
  private readonly cleanups: (() => void)[] = [];

  constructor(options: CallOptions) {
    const { local, meter } = options;
    this.local = local;
    this.pointers = new Pointers(systemClock, this.life.signal);
    this.session = new MeetingSession({
      ...options,
      api: connectionsAreFew() ? sharingConnections : signalingPort,
      clock: systemClock,
      media: {
        prepare: (iceServers) => Peer.prepare(local, iceServers),
        bind: (peer) => this.bind(peer as Peer),
      },
    });
    const { store } = this.session;
    const participantOf = (mid: string) => store.get().slots[mid]?.participant ?? "";
    this.lipSync = new LipSync({ slots: (kind) => this.media.slots(kind), participantOf });
    this.levels = new Levels({
      slots: () => this.media.slots("audio"),
      participantOf,
      selfId: () => store.get().selfId,
      own: () => (local.muted("microphone") ? 0 : meter.level()),
    });
    this.media.setSpeaker(local.state.get().speakerId);
    this.cleanups.push(this.followMutes(), this.followNetwork(), this.leaveWithPage());
  }

  async join(peer: Peer, signal: AbortSignal, onWait: (error: CallError) => void): Promise<void> {
    const trace = new JoinTrace();
    this.videoMids = peer.slots("video").map(({ mid }) => mid);
    this.media.onFirstFrame(() => {
      trace.reach("first_frame");
      trace.finish();
    });
    peer.onState((state) => {
      if (state === "connected") {
        trace.reach("connected");
        this.finishTrace(trace);
      }
    });
    await this.session.join({
      peer,
      signal,
      onWait,
      traceparent: trace.traceparent,
      onAnswer: () => trace.reach("answer"),
    });
  }

  leave(): void {
    this.session.leave();
    this.close();
  }

  close(): void {
    this.life.abort();
    this.session.close();
    this.levels.close();
    this.lipSync.close();
    this.media.close();
    for (const cleanup of this.cleanups.splice(0)) {
      cleanup();
    }
  }

  private bind(peer: Peer): void {
    this.media.bind(peer);
    this.pointers.bind(peer.pointer);
  }

  /** With nobody's picture to wait for, the trace is complete when media is connected. */
  private finishTrace(trace: JoinTrace): void {
    const { participants, selfId } = this.session.store.get();
    const pictures = participants.some((person) => person.id !== selfId && sends(person, "camera"));
    setTimeout(() => trace.finish(), pictures ? FIRST_FRAME_MS : 0);
  }

  /** Tells the others whenever something of ours is muted, unmuted or shared. */
  private followMutes(): () => void {
    const sources = ["microphone", "camera", "screen", "screen-audio"] as const;
    const signature = () => sources.map((source) => this.local.muted(source)).join();
    let before = signature();
    return this.local.state.subscribe(() => {
      const now = signature();
      if (now !== before) {
        before = now;
        this.session.tracksChanged();
      }
      this.media.setSpeaker(this.local.state.get().speakerId);
    });
  }

  /** A device that comes into another network tells the session, which looks for a new way at once. */
  private followNetwork(): () => void {
    const changed = () => this.session.networkChanged();
    // Phones name the kind of network; elsewhere the event tells of mere changes of speed, and the kind stays undefined.
    const network = (navigator as { connection?: EventTarget & { readonly type?: string } }).connection;
    let kind = network?.type;
    const kindChanged = () => {
      if (network?.type !== kind) {
        kind = network?.type;
        changed();
      }
    };
    const doubtful = () => this.session.networkDoubtful();
    window.addEventListener("online", changed);
    window.addEventListener("offline", doubtful);
    network?.addEventListener("change", kindChanged);
    return () => {
      window.removeEventListener("online", changed);
      window.removeEventListener("offline", doubtful);
      network?.removeEventListener("change", kindChanged);
    };
  }

  /** A closed tab leaves at once instead of a minute later. */
  private leaveWithPage(): () => void {
    const leave = () => this.session.leave();
    window.addEventListener("pagehide", leave);
    return () => window.removeEventListener("pagehide", leave);
  }
}
