/**
 * Lets each voice wait for the picture of whoever speaks. Sound and pictures come in slots of their own, so that the browser does not
 * know which of them belong together; where pictures wait for repairs, the voice would be ahead of the lips.
 */

import type { Slot } from "./peer";

const PERIOD_MS = 1_000;
/** A voice may be this far ahead of the lips before people notice (ITU-R BT.1359-1, threshold of detectability). */
const UNNOTICED_MS = 45;
/** Smaller changes of the delay are not followed. */
const STEP_MS = 20;
/** Nobody can talk to others with a longer delay. */
const MOST_MS = 800;

export interface LipSyncSources {
  /** The receiving slots. */
  readonly slots: (kind: "audio" | "video") => readonly Slot[];
  /** Whom a slot carries now; empty: nobody. */
  readonly participantOf: (mid: string) => string;
}

/** Counters of a video slot: seconds that frames have waited, and how many frames. */
interface Waited {
  readonly seconds: number;
  readonly frames: number;
}

export class LipSync {
  private readonly waited = new Map<string, Waited>();
  private readonly timer: ReturnType<typeof setInterval>;
  private busy = false;

  constructor(private readonly sources: LipSyncSources) {
    this.timer = setInterval(() => void this.look(), PERIOD_MS);
  }

  close(): void {
    clearInterval(this.timer);
  }

  private async look(): Promise<void> {
    if (this.busy) {
      return;
    }
    this.busy = true;
    try {
      const { slots, participantOf } = this.sources;
      for (const { mid, receiver } of slots("audio")) {
        const speaker = participantOf(mid);
        const pictures = speaker ? slots("video").filter((slot) => participantOf(slot.mid) === speaker) : [];
        const delays = (await Promise.all(pictures.map((slot) => this.delay(slot)))).filter((delay) => delay > 0);
        if (delays.length > 0) {
          // Of somebody's camera and screen, the voice goes with what comes first.
          follow(receiver, Math.min(MOST_MS, ...delays));
        } else if (pictures.length === 0) {
          follow(receiver, 0);
        }
      }
    } finally {
      this.busy = false;
    }
  }

  /** Milliseconds that the pictures of a slot waited since the last look; 0: there were none. */
  private async delay({ mid, receiver }: Slot): Promise<number> {
    const now = await waited(receiver);
    const before = this.waited.get(mid);
    this.waited.set(mid, now);
    const frames = before ? now.frames - before.frames : 0;
    return before && frames > 0 ? (1_000 * (now.seconds - before.seconds)) / frames : 0;
  }
}

/** Lets a voice wait about so many milliseconds. */
function follow(receiver: RTCRtpReceiver, delay: number): void {
  const target = delay > UNNOTICED_MS ? Math.round(delay) : null;
  const current = receiver.jitterBufferTarget;
  const differs = target === null || current === null ? target !== current : Math.abs(target - current) >= STEP_MS;
  if (differs) {
    receiver.jitterBufferTarget = target;
  }
}

async function waited(receiver: RTCRtpReceiver): Promise<Waited> {
  let [seconds, frames] = [0, 0];
  for (const report of (await receiver.getStats()).values()) {
    if (report.type === "inbound-rtp") {
      seconds += report.jitterBufferDelay ?? 0;
      frames += report.jitterBufferEmittedCount ?? 0;
    }
  }
  return { seconds, frames };
}
