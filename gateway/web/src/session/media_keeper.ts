/** Keeps one media connection up: notices when it is lost and replaces it by a new one. */

import { backoff, type Clock, PATIENT } from "@/rpc/retry";
import type { MediaAnswer, MediaOffer, SlotRequest, Track } from "./model";
import type { SessionState } from "./state";

/** What is used of a peer connection. */
export interface PeerPort {
  offer(slots?: readonly SlotRequest[]): MediaOffer;
  tracks(): Track[];
  accept(answer: MediaAnswer): Promise<void>;
  /** Sends only the encodings that are needed: RTP stream ids by the track's mid; of a track that is not named all are. */
  send(encodings: Encodings): void;
  readonly state: RTCPeerConnectionState;
  onState(listener: (state: RTCPeerConnectionState) => void): void;
  close(): void;
}

type Encodings = SessionState["encodings"];

export interface KeeperOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly prepare: () => Promise<PeerPort>;
  readonly bind: (peer: PeerPort) => void;
  /** Offer against answer; undefined: give up, somebody else brings a connection. */
  readonly exchange: (peer: PeerPort) => Promise<MediaAnswer | undefined>;
  readonly onState: (state: SessionState["media"]) => void;
}

/** A connection that is interrupted this long is replaced. */
const DISCONNECTED_MS = 2_000;
/** A connection that isn't there after this long won't come. */
const CONNECT_MS = 8_000;

/** After this many failures in a row it is more likely the network than a passing trouble. */
const BLOCKED_AFTER = 3;

export class MediaKeeper {
  private peer: PeerPort | undefined;
  private epoch = 0n;
  private replacing = false;
  private failures = 0;
  /** Of the running countdown to a replacement. */
  private countdown = new AbortController();

  constructor(private readonly options: KeeperOptions) {}

  tracks(): Track[] {
    return this.peer?.tracks() ?? [];
  }

  /** Takes a connection with its answer into use; the one before it is closed. */
  async use(peer: PeerPort, answer: MediaAnswer): Promise<void> {
    const before = this.peer;
    this.peer = peer;
    this.epoch = answer.epoch;
    peer.onState((state) => this.changed(peer, state));
    this.replaceAfter(CONNECT_MS, peer);
    try {
      await peer.accept(answer);
      // Before the old connection goes, so that elements pass from one to the other without a gap.
      this.options.bind(peer);
    } catch {
      // An answer that the browser can't take counts as a connection that doesn't come up.
      this.failures += 1;
      this.replaceAfter(backoff(PATIENT, this.failures, this.options.clock), peer);
      return;
    } finally {
      before?.close();
    }
    this.changed(peer, peer.state);
  }

  /** Which encodings of the connection in use are needed now. */
  send(encodings: Encodings): void {
    this.peer?.send(encodings);
  }

  /** The room is on another node since this epoch. */
  moved(epoch: bigint): void {
    if (epoch > this.epoch) {
      void this.replace();
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
      this.countdown.abort();
      this.options.onState("connected");
    } else if (state === "disconnected") {
      this.replaceAfter(DISCONNECTED_MS, peer);
    } else if (state === "failed") {
      void this.replace();
    }
  }

  /** Replaces `peer` unless it connects before. */
  private replaceAfter(milliseconds: number, peer: PeerPort): void {
    this.countdown.abort();
    this.countdown = new AbortController();
    const { signal } = this.countdown;
    void this.options.clock.sleep(milliseconds, signal).then(() => {
      if (!signal.aborted && peer === this.peer) {
        this.failures += 1;
        void this.replace();
      }
    });
  }

  private async replace(): Promise<void> {
    const { clock, signal, prepare, exchange, onState } = this.options;
    if (this.replacing || signal.aborted || !this.peer) {
      return;
    }
    this.replacing = true;
    this.countdown.abort();
    onState(this.failures >= BLOCKED_AFTER ? "blocked" : "lost");
    try {
      if (this.failures > 1) {
        await clock.sleep(backoff(PATIENT, this.failures - 1, clock), signal);
      }
      const before = this.peer;
      const peer = await prepare();
      const answer = await exchange(peer);
      if (!answer || signal.aborted || this.peer !== before) {
        peer.close();
        return;
      }
      await this.use(peer, answer);
    } catch {
      this.failures += 1;
      if (this.peer) {
        this.replaceAfter(backoff(PATIENT, this.failures, clock), this.peer);
      }
    } finally {
      this.replacing = false;
    }
  }
}
