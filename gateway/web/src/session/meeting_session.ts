/** Being in a meeting: joins, follows the events, keeps media up, and comes back by itself after whatever happens. */

import type { Explanation } from "@/quality/explanation";
import { type Caller, newRequestId, type SignalingPort } from "@/rpc/api";
import type { Entry } from "@/rpc/credentials";
import { type CallError, isUnanswered, toCallError } from "@/rpc/errors";
import { ACTION, type Clock, PATIENT, retrying } from "@/rpc/retry";
import { describe } from "@/rpc/words";
import { coalesced } from "./coalesce";
import { MediaKeeper, type PeerPort } from "./media_keeper";
import type { Joined, MediaAnswer, Meeting, SlotRequest, WatchMessage } from "./model";
import { type Action, EMPTY, reduce, type SessionState } from "./state";
import { Store } from "./store";
import { watch } from "./watch";

/** What the session needs of media. */
export interface MediaPort {
  /** A new connection with its offer ready; it may use these STUN and TURN servers. */
  prepare(iceServers: readonly RTCIceServer[]): Promise<PeerPort>;
  /** Shows and sounds what the connection's slots bring. */
  bind(peer: PeerPort): void;
}

export interface SessionOptions {
  readonly api: SignalingPort;
  readonly clock: Clock;
  readonly media: MediaPort;
  readonly entry: Entry;
  readonly meeting: string;
  readonly passcode: string;
  readonly displayName: string;
}

export interface JoinOptions {
  /** A connection prepared ahead. */
  readonly peer: PeerPort;
  readonly traceparent?: string;
  readonly signal?: AbortSignal;
  /** Told before each wait for another try. */
  readonly onWait?: (error: CallError) => void;
  /** Told when the join was answered. */
  readonly onAnswer?: () => void;
}

/** How often somebody who came before the host asks again. */
const NOT_STARTED_POLL_MS = 3_000;
/** How soon a failed heartbeat is repeated. */
const HEARTBEAT_RETRY_MS = 2_000;
/** What slots that nobody named show. */
const AUTOMATIC = key({ mid: "", selection: { kind: "automatic" } });
const REACTION_MS = 4_000;
const NOTICE_MS = 5_000;

export class MeetingSession {
  readonly store = new Store<SessionState>(EMPTY);
  private readonly keeper: MediaKeeper;
  private readonly life = new AbortController();
  /** Of the present participant: a new one comes with each join. */
  private stay = new AbortController();
  private caller: Caller = { token: "", meeting: "", participant: "" };
  private wanted: readonly SlotRequest[] = [];
  private granted = new Map<string, string>();
  /** The tracks as the service knows them, as JSON. */
  private told = "";
  private rejoining = false;
  /** Ends the wait for the next heartbeat. */
  private beatNow = () => {};
  /** Of the latest answer. */
  private iceServers: readonly RTCIceServer[] = [];
  private readonly syncTracks = coalesced(() => this.sendTracks());
  private readonly syncSlots = coalesced(() => this.sendSlots());

  constructor(private readonly options: SessionOptions) {
    const { media, clock } = options;
    this.keeper = new MediaKeeper({
      clock,
      signal: this.life.signal,
      prepare: () => media.prepare(this.iceServers),
      bind: (peer) => {
        media.bind(peer);
        const { encodings, codecs } = this.store.get();
        peer.send(encodings, codecs);
      },
      exchange: (peer, what) => this.renegotiate(peer, what),
      onState: (state) => this.dispatch({ type: "media", media: state }),
      onFlow: (flows) => this.dispatch({ type: "flow", flows }),
    });
  }

  /** Enters; media connects after the promise has resolved. Throws CallError when there is no way in. */
  async join(join: JoinOptions): Promise<void> {
    const joined = await this.enter(join);
    join.onAnswer?.();
    this.settle(joined, join.peer);
  }

  /** To be called when what is sent was muted, unmuted or changed. */
  tracksChanged(): void {
    this.syncTracks();
  }

  /** Says what the layout shows. Slots that are not named keep what they have. */
  showSlots(requests: readonly SlotRequest[]): void {
    this.wanted = requests;
    this.syncSlots();
  }

  /** To be called when the device came into another network. */
  networkChanged(): void {
    this.keeper.networkChanged();
    this.beatNow();
  }

  /** To be called when the browser believes to be offline: the next heartbeat tells whether that is so. */
  networkDoubtful(): void {
    this.beatNow();
  }

  /** What the browser measures of the connection in use; undefined: there is none. */
  stats(): Promise<RTCStatsReport> | undefined {
    return this.keeper.stats();
  }

  /** Why pictures look as they do, by the word of the node. */
  explain(): Promise<Explanation> {
    return this.options.api.explainSession(this.caller);
  }

  setCapacity(capacity: number): void {
    this.dispatch({ type: "capacity", capacity });
  }

  react(emoji: string): void {
    this.options.api.sendReaction(this.caller, emoji).catch(() => undefined);
  }

  /** The participant's token and meeting, for calls of other services. */
  get identity(): Caller {
    return this.caller;
  }

  /** The host has changed the meeting from here; events tell of no passcode. */
  meetingChanged(meeting: Meeting): void {
    this.dispatch({ type: "event", event: { kind: "meeting-updated", meeting } });
  }

  /** Leaves and lets go of everything; the screen need not wait. */
  leave(): void {
    this.dispatch({ type: "ending", ending: "left" });
    const { api, clock } = this.options;
    retrying(() => api.leaveMeeting(this.caller), { policy: ACTION, clock }).catch(() => undefined);
    this.close();
  }

  close(): void {
    this.life.abort();
    this.stay.abort();
    this.keeper.close();
  }

  private dispatch(action: Action): void {
    const before = this.store.get();
    this.store.update((state) => reduce(state, action));
    const { encodings, codecs } = this.store.get();
    if (encodings !== before.encodings) {
      this.keeper.send(encodings, codecs);
    }
    this.scheduleExpiry(before);
  }

  /** Reactions and notices fade by themselves. */
  private scheduleExpiry(before: SessionState): void {
    const { reactions, notices, nextKey } = this.store.get();
    for (let key = before.nextKey; key < nextKey; key += 1) {
      const lasts = reactions.some((reaction) => reaction.key === key) ? REACTION_MS : NOTICE_MS;
      if (lasts === REACTION_MS || notices.some((notice) => notice.key === key)) {
        void this.options.clock.sleep(lasts, this.life.signal).then(() => this.dispatch({ type: "expire", key }));
      }
    }
  }

  /** One JoinMeeting, repeated until it is answered or refused for good. */
  private async enter({ peer, traceparent, signal = this.life.signal, onWait }: JoinOptions): Promise<Joined> {
    const { api, clock, entry, meeting, passcode, displayName } = this.options;
    for (;;) {
      const requestId = newRequestId();
      const offer = peer.offer(this.wanted);
      const ask = async () =>
        api.joinMeeting({ token: await entry.token(), meeting, passcode, displayName, offer, requestId, traceparent });
      try {
        const joined = await retrying(ask, { policy: PATIENT, clock, signal, ...(onWait && { onWait }) });
        this.told = JSON.stringify(offer.tracks);
        return joined;
      } catch (thrown) {
        const error = toCallError(thrown);
        if (error.reason !== "MEETING_NOT_STARTED" || signal.aborted) {
          throw error;
        }
        onWait?.(error);
        await clock.sleep(NOT_STARTED_POLL_MS, signal);
      }
    }
  }

  /** Takes a join's answer into use. The screen, the stream and the connection need not wait for each other. */
  private settle(joined: Joined, peer: PeerPort): void {
    const { meeting } = this.options;
    this.stay.abort();
    this.stay = new AbortController();
    this.caller = { token: joined.token, meeting, participant: joined.self.id };
    this.granted = keyed(this.wanted);
    this.iceServers = joined.answer.iceServers;
    const slots = joined.answer.slots;
    this.dispatch({ type: "joined", selfId: joined.self.id, snapshot: joined.snapshot, slots });
    void this.keeper.use(peer, joined.answer).then(() => this.syncTracks());
    void this.follow(joined.cursor, this.stay.signal);
    void this.beat(joined.heartbeatMs, this.stay.signal);
  }

  private async follow(cursor: string, signal: AbortSignal): Promise<void> {
    const { api, clock } = this.options;
    const end = await watch({
      open: (from, streamSignal) => api.watchSession(this.caller, from, streamSignal),
      cursor,
      clock,
      signal,
      onMessage: (message) => this.receive(message),
      onState: (state) => this.dispatch({ type: "signal", signal: state }),
    });
    if (end.kind === "not-in-meeting") {
      await this.rejoin();
    } else if (end.kind === "replaced") {
      this.dispatch({ type: "ending", ending: "elsewhere" });
      this.close();
    } else if (end.kind === "refused") {
      this.fail(end.error);
    }
  }

  private receive({ body }: WatchMessage): void {
    if (body.kind === "snapshot") {
      this.dispatch({ type: "snapshot", snapshot: body.snapshot });
    } else if (body.kind === "events") {
      for (const event of body.events) {
        this.dispatch({ type: "event", event });
        if (event.kind === "media-moved") {
          this.keeper.moved(event.epoch);
        }
      }
    }
    if (this.store.get().ending) {
      this.close();
    }
  }

  private async beat(everyMs: number, signal: AbortSignal): Promise<void> {
    const { api, clock } = this.options;
    let wait = everyMs;
    for (;;) {
      const now = new Promise<void>((beat) => {
        this.beatNow = beat;
      });
      await Promise.race([clock.sleep(wait, signal), now]);
      if (signal.aborted) {
        return;
      }
      try {
        const { intervalMs, token } = await this.noting(api.heartbeat(this.caller));
        wait = intervalMs;
        if (token && !signal.aborted) {
          this.caller = { ...this.caller, token };
        }
      } catch (thrown) {
        if (isGone(toCallError(thrown))) {
          await this.rejoin();
          return;
        }
        wait = HEARTBEAT_RETRY_MS;
      }
    }
  }

  /** Comes in again as a new participant, after the service has given the old one up. */
  private async rejoin(): Promise<void> {
    if (this.rejoining || this.store.get().ending || this.life.signal.aborted) {
      return;
    }
    this.rejoining = true;
    this.stay.abort();
    this.dispatch({ type: "signal", signal: "lost" });
    try {
      const peer = await this.options.media.prepare(this.iceServers);
      this.settle(await this.enter({ peer }), peer);
    } catch (thrown) {
      this.fail(toCallError(thrown));
    } finally {
      this.rejoining = false;
    }
  }

  private fail(error: CallError): void {
    if (this.life.signal.aborted) {
      return;
    }
    if (error.reason === "MEETING_ENDED") {
      this.dispatch({ type: "ending", ending: "ended" });
    } else {
      this.dispatch({ type: "ending", ending: "failed", problem: describe(error) });
    }
    this.close();
  }

  /** A new answer for a new connection; undefined when a join is on its way that brings one. */
  private async renegotiate(peer: PeerPort, what: "new" | "restart"): Promise<MediaAnswer | undefined> {
    const { api, clock } = this.options;
    const requestId = newRequestId();
    const offer = peer.offer(this.wanted);
    const signal = this.stay.signal;
    if (what === "new") {
      this.dispatch({ type: "renewing" });
    }
    try {
      const exchange = () => api.renegotiateMedia(this.caller, offer, requestId);
      const answer = await retrying(exchange, { policy: PATIENT, clock, signal });
      if (signal.aborted) {
        return undefined;
      }
      this.granted = keyed(offer.slots);
      this.told = JSON.stringify(offer.tracks);
      this.iceServers = answer.iceServers;
      // Slots that carry nothing yet keep the last picture until an event says what comes.
      this.dispatch({ type: "slots", slots: answer.slots.filter(({ participant }) => participant) });
      this.syncTracks();
      return answer;
    } catch (thrown) {
      const error = toCallError(thrown);
      if (isGone(error)) {
        void this.rejoin();
      } else if (!signal.aborted) {
        throw error;
      }
      return undefined;
    }
  }

  private async sendTracks(): Promise<void> {
    await this.tell(async (caller) => {
      const tracks = this.keeper.tracks();
      const now = JSON.stringify(tracks);
      if (now !== this.told) {
        await this.options.api.updateTracks(caller, tracks);
        this.told = now;
      }
    });
  }

  private async sendSlots(): Promise<void> {
    const changed = this.wanted.filter((slot) => (this.granted.get(slot.mid) ?? AUTOMATIC) !== key(slot));
    if (changed.length > 0) {
      await this.tell(async (caller) => {
        await this.options.api.updateSlots(caller, changed);
        this.granted = new Map([...this.granted, ...keyed(changed)]);
      });
    }
  }

  /** The same call; whether the service answers at all is noted. */
  private async noting<T>(call: Promise<T>): Promise<T> {
    try {
      const answer = await call;
      this.dispatch({ type: "answered", answered: true });
      return answer;
    } catch (thrown) {
      this.dispatch({ type: "answered", answered: !isUnanswered(toCallError(thrown)) });
      throw thrown;
    }
  }

  /** A change that is repeated while the service is away; a join or a new answer carries the state anyway. */
  private async tell(change: (caller: Caller) => Promise<void>): Promise<void> {
    if (!this.caller.token) {
      return;
    }
    const { clock } = this.options;
    await retrying(() => this.noting(change(this.caller)), { policy: PATIENT, clock, signal: this.stay.signal }).catch(
      () => undefined,
    );
  }
}

/** Whether the service no longer knows the participant. */
function isGone(error: CallError): boolean {
  return error.reason === "PARTICIPANT_NOT_FOUND" || error.reason === "TOKEN_EXPIRED";
}

function keyed(requests: readonly SlotRequest[]): Map<string, string> {
  return new Map(requests.map((slot) => [slot.mid, key(slot)]));
}

/** Equal for requests that ask for the same. */
function key({ selection, maxHeight = 0, priority = 0 }: SlotRequest): string {
  return JSON.stringify([selection, maxHeight, priority]);
}
