/** Keeps one media connection up: notices when it is lost, looks for a new way for it, and replaces it when there is none. */

import { backoff, type Clock, PATIENT } from "@/rpc/retry";
import type { MediaAnswer, MediaOffer, SlotRequest, Track } from "./model";
import { LOOK_MS, Silence } from "./silence";
import type { SessionState } from "./state";

type Encodings = SessionState["encodings"];
type Codecs = SessionState["codecs"];

/** What is used of a peer connection. */
export interface PeerPort {
  offer(slots?: readonly SlotRequest[]): MediaOffer;
  tracks(): Track[];
  accept(answer: MediaAnswer): Promise<void>;
  /** Makes an offer for a new way of the same streams, by these relays too (ICE restart, RFC 8445 section 9). */
  restart(iceServers: readonly RTCIceServer[]): Promise<void>;
  /**
   * Sends only the encodings that are needed: RTP stream ids by the track's mid; of a track that is not named all are. `codecs` names
   * what tracks are to be sent in, by mid.
   */
  send(encodings: Encodings, codecs: Codecs): void;
  stats(): Promise<RTCStatsReport>;
  /** Bytes that have come over the connection. */
  received(): Promise<number>;
  readonly state: RTCPeerConnectionState;
  onState(listener: (state: RTCPeerConnectionState) => void): void;
  close(): void;
}

export interface KeeperOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly prepare: () => Promise<PeerPort>;
  readonly bind: (peer: PeerPort) => void;
  /** Offer against answer; undefined: give up, somebody else brings a connection. */
  readonly exchange: (peer: PeerPort, what: "new" | "restart") => Promise<MediaAnswer | undefined>;
  readonly onState: (state: SessionState["media"]) => void;
  /** Told again and again whether media comes; a connection stands for seconds after its network is gone. */
  readonly onFlow: (flows: boolean) => void;
}

/** A connection that is interrupted this long has to look for a new way. */
const DISCONNECTED_MS = 2_000;
/** A connection that isn't there after this long needs a relay. */
const DIRECT_MS = 3_000;
/** A connection that isn't there after this long, or this long after it began to look for a new way, won't come. */
const CONNECT_MS = 8_000;
const RESTART_MS = 5_000;
/** After a change of networks, so that the new one has its addresses. */
const NETWORK_MS = 300;

/** After this many failures in a row it is more likely the network than a passing trouble. */
const BLOCKED_AFTER = 3;

export class MediaKeeper {
  private peer: PeerPort | undefined;
  private answer: MediaAnswer | undefined;
  /** Whether an offer is being exchanged. */
  private busy = false;
  /** Whether the connection has looked for a new way since it last stood. */
  private restarted = false;
  private stood = false;
  private failures = 0;
  /** The newest epoch of the room that has been told. */
  private epoch = 0n;
  /** Of the running countdown to the next step. */
  private countdown = new AbortController();

  constructor(private readonly options: KeeperOptions) {}

  tracks(): Track[] {
    return this.peer?.tracks() ?? [];
  }

  stats(): Promise<RTCStatsReport> | undefined {
    return this.peer?.stats();
  }

  /** Takes a connection with its answer into use; the one before it is closed. */
  async use(peer: PeerPort, answer: MediaAnswer): Promise<void> {
    const before = this.peer;
    this.peer = peer;
    this.answer = answer;
    this.restarted = answer.iceServers.length === 0;
    this.stood = false;
    peer.onState((state) => this.changed(peer, state));
    void this.listen(peer);
    this.recoverAfter(this.restarted ? CONNECT_MS : DIRECT_MS, peer);
    try {
      await peer.accept(answer);
      // Before the old connection goes, so that elements pass from one to the other without a gap.
      this.options.bind(peer);
    } catch {
      // An answer that the browser can't take counts as a connection that doesn't come up.
      this.failures += 1;
      this.restarted = true;
      this.recoverAfter(backoff(PATIENT, this.failures, this.options.clock), peer);
      return;
    } finally {
      before?.close();
    }
    this.changed(peer, peer.state);
  }

  /** Which encodings of the connection in use are needed now, and in which codecs. */
  send(encodings: Encodings, codecs: Codecs): void {
    this.peer?.send(encodings, codecs);
  }

  /** The room is on another node since this epoch. */
  moved(epoch: bigint): void {
    this.epoch = epoch > this.epoch ? epoch : this.epoch;
    if (this.isOutdated()) {
      void this.replace();
    }
  }

  /** Whether the room has left the node that the connection leads to. */
  private isOutdated(): boolean {
    return this.answer !== undefined && this.answer.epoch < this.epoch;
  }

  /** The device is in another network: its old addresses lead nowhere, whatever the connection says yet. */
  networkChanged(): void {
    if (this.peer) {
      this.restarted = false;
      this.recoverAfter(NETWORK_MS, this.peer);
    }
  }

  close(): void {
    this.countdown.abort();
    this.peer?.close();
    this.peer = undefined;
  }

  private changed(peer: PeerPort, state: RTCPeerConnectionState): void {
    if (peer !== this.peer) {
      return;
    }
    if (state === "connected") {
      this.failures = 0;
      this.restarted = false;
      this.stood = true;
      this.countdown.abort();
      this.options.onState("connected");
    } else if (state === "disconnected") {
      this.recoverAfter(DISCONNECTED_MS, peer);
    } else if (state === "failed") {
      this.recover();
    }
  }

  /** Looks for another way as soon as a busy connection falls silent: browsers wait for some seconds first. */
  private async listen(peer: PeerPort): Promise<void> {
    const { clock, signal } = this.options;
    const silence = new Silence();
    while (!signal.aborted && this.peer === peer) {
      await clock.sleep(LOOK_MS, signal);
      const fell = peer.state === "connected" && silence.fell(await peer.received());
      if (this.peer === peer) {
        this.options.onFlow(!silence.lasts);
        if (fell) {
          void this.restart();
        }
      }
    }
  }

  /** Looks for another way for `peer` unless it connects before. */
  private recoverAfter(milliseconds: number, peer: PeerPort): void {
    this.countdown.abort();
    this.countdown = new AbortController();
    const { signal } = this.countdown;
    void this.options.clock.sleep(milliseconds, signal).then(() => {
      if (!signal.aborted && peer === this.peer) {
        this.failures += this.restarted ? 1 : 0;
        this.recover();
      }
    });
  }

  /** A new way for the connection; if it has tried that already, a new connection. */
  private recover(): void {
    void (this.restarted ? this.replace() : this.restart());
  }

  private async restart(): Promise<void> {
    const { peer } = this;
    if (this.busy || this.options.signal.aborted || !peer) {
      return;
    }
    this.restarted = true;
    this.busy = true;
    this.countdown.abort();
    if (this.stood && peer.state !== "connected") {
      this.tellLost();
    }
    const found = await this.exchanged(peer).catch(() => false);
    this.busy = false;
    if (this.options.signal.aborted || this.peer !== peer) {
      return;
    }
    // The room may have moved after its former node had answered.
    if (!found || this.isOutdated()) {
      void this.replace();
    } else if (peer.state === "connected") {
      this.changed(peer, peer.state);
    } else {
      this.recoverAfter(RESTART_MS, peer);
    }
  }

  /** Whether the session goes on with the answer to an offer that only looks for a new way. */
  private async exchanged(peer: PeerPort): Promise<boolean> {
    await peer.restart(this.answer?.iceServers ?? []);
    const answer = await this.options.exchange(peer, "restart");
    if (!answer || this.peer !== peer || !this.answer || !isSameSession(this.answer, answer)) {
      return false;
    }
    this.answer = answer;
    await peer.accept(answer);
    return true;
  }

  private tellLost(): void {
    this.options.onState(this.failures >= BLOCKED_AFTER ? "blocked" : "lost");
  }

  private async replace(): Promise<void> {
    const { clock, signal, prepare, exchange } = this.options;
    if (this.busy || signal.aborted || !this.peer) {
      return;
    }
    this.busy = true;
    this.countdown.abort();
    this.tellLost();
    try {
      if (this.failures > 1) {
        await clock.sleep(backoff(PATIENT, this.failures - 1, clock), signal);
      }
      const before = this.peer;
      const peer = await prepare();
      const answer = await exchange(peer, "new");
      if (!answer || signal.aborted || this.peer !== before) {
        peer.close();
        return;
      }
      await this.use(peer, answer);
      if (this.isOutdated()) {
        this.restarted = true;
        this.recoverAfter(backoff(PATIENT, this.failures + 1, clock), peer);
      }
    } catch {
      this.failures += 1;
      this.restarted = true;
      if (this.peer) {
        this.recoverAfter(backoff(PATIENT, this.failures, clock), this.peer);
      }
    } finally {
      this.busy = false;
    }
  }
}

/** Whether a node kept its session: slots' SSRCs never change within one, and are others in the next. */
function isSameSession(before: MediaAnswer, now: MediaAnswer): boolean {
  const ssrcs = ({ sdp }: MediaAnswer) => (sdp.match(/^a=ssrc:\d+/gm) ?? []).join();
  return before.epoch === now.epoch && ssrcs(before) === ssrcs(now);
}
