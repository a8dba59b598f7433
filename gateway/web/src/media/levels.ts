/** Who is heard right now, ten times a second, without a re-render: tiles set an attribute on themselves. */

import type { Slot } from "./peer";

/** Linear level (0..1) above which somebody counts as speaking: about -36 dBov. */
const SPEAKING = 0.016;
/** The ring stays this long after the last sound, so that it doesn't flicker between words. */
const HOLD_MS = 350;
const PERIOD_MS = 100;

export interface LevelSources {
  /** The receiving audio slots. */
  readonly slots: () => readonly Slot[];
  /** Whom a slot carries now; empty: nobody. */
  readonly participantOf: (mid: string) => string;
  readonly selfId: () => string;
  /** Level of one's own microphone. */
  readonly own: () => number;
}

type Listener = (speaking: boolean) => void;

export class Levels {
  private readonly listeners = new Map<string, Set<Listener>>();
  private readonly heard = new Map<string, number>();
  private readonly timestamps = new Map<string, number>();
  private readonly timer: ReturnType<typeof setInterval>;

  constructor(private readonly sources: LevelSources) {
    this.timer = setInterval(() => this.poll(), PERIOD_MS);
  }

  /** Calls back whenever the participant begins or ends to speak. */
  follow(participant: string, listener: Listener): () => void {
    const listeners = this.listeners.get(participant) ?? new Set();
    this.listeners.set(participant, listeners.add(listener));
    return () => {
      listeners.delete(listener);
    };
  }

  close(): void {
    clearInterval(this.timer);
  }

  private poll(): void {
    const now = performance.now();
    for (const { mid, receiver } of this.sources.slots()) {
      const participant = this.sources.participantOf(mid);
      if (participant && this.slotLevel(mid, receiver) > SPEAKING) {
        this.hear(participant, now);
      }
    }
    if (this.sources.own() > SPEAKING) {
      this.hear(this.sources.selfId(), now);
    }
    for (const [participant, at] of this.heard) {
      if (now - at > HOLD_MS) {
        this.heard.delete(participant);
        this.tell(participant, false);
      }
    }
  }

  /** The level of what was last played; 0 when nothing new was. */
  private slotLevel(mid: string, receiver: RTCRtpReceiver): number {
    const [source] = receiver.getSynchronizationSources();
    if (!source || this.timestamps.get(mid) === source.timestamp) {
      return 0;
    }
    this.timestamps.set(mid, source.timestamp);
    return source.audioLevel ?? 0;
  }

  private hear(participant: string, now: number): void {
    const was = this.heard.has(participant);
    this.heard.set(participant, now);
    if (!was) {
      this.tell(participant, true);
    }
  }

  private tell(participant: string, speaking: boolean): void {
    for (const listener of this.listeners.get(participant) ?? []) {
      listener(speaking);
    }
  }
}
