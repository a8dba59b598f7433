/** A connection in words for people who are no engineers. */

import type { ExplainedSlot, Explanation, Layer } from "./explanation";
import type { SentEncoding, Way } from "./local_stats";

/** Losses that are heard and seen (retransmission hides fewer). */
const LOSSY = 0.05;
/** A round trip that makes people talk into each other's words (ITU-T G.114: 150 ms one way). */
const SLOW_MS = 300;
const QUEUED_MS = 200;
/** Below it people notice no delay. */
const LATE_MS = 100;
/** Estimates waver: only clearly less than what is wanted is too little. */
const SHORT_OF = 0.9;

export function bits(perSecond: number): string {
  if (perSecond >= 950_000) {
    return `${(perSecond / 1e6).toFixed(1)} Mbit/s`;
  }
  if (perSecond >= 95_000) {
    return `${(perSecond / 1e6).toFixed(2)} Mbit/s`;
  }
  return `${Math.round(perSecond / 1000)} kbit/s`;
}

export const milliseconds = (value: number): string => `${Math.round(value)} ms`;
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

export function share(value: number): string {
  const percent = value * 100;
  return percent > 0 && percent < 1 ? "under 1 %" : `${Math.round(percent)} %`;
}

/** "360p, 15 fps, 0.40 Mbit/s" */
export function layer({ height, framesPerSecond, bitsPerSecond }: Omit<Layer, "rid">): string {
  const parts = [height > 0 ? `${height}p` : "", framesPerSecond > 0 ? `${Math.round(framesPerSecond)} fps` : ""];
  return [...parts, bits(bitsPerSecond)].filter(Boolean).join(", ");
}

export interface Verdict {
  readonly mood: "good" | "fair" | "poor" | "unknown";
  readonly text: string;
}

/** The whole in a sentence or two. */
export function verdict(explanation: Explanation | undefined): Verdict {
  const way = explanation?.receiving;
  if (!way || (way.estimated === 0 && way.roundTripMs === 0)) {
    return { mood: "unknown", text: "Your connection is being measured." };
  }
  if (way.lost >= LOSSY) {
    const late = Math.max(0, ...explanation.slots.map(({ repairWaitMs }) => repairWaitMs));
    const { mood, text } = late >= LATE_MS ? repaired(late, way.soundRepeated) : BREAKING;
    return { mood, text: `Your connection loses ${share(way.lost)} of the data. ${text}` };
  }
  if (way.queueingDelayMs >= QUEUED_MS) {
    return { mood: "poor", text: "Your connection is overfull: data waits before it reaches you. Less is being sent." };
  }
  if (way.estimated > 0 && way.estimated < way.wanted * SHORT_OF) {
    const text = `Your connection carries about ${bits(way.estimated)}; sharp pictures would take ${bits(way.wanted)}.`;
    return { mood: "fair", text: `${text} Some are smaller for that.` };
  }
  if (way.roundTripMs >= SLOW_MS) {
    const text = `Your connection is slow to answer (${milliseconds(way.roundTripMs)}). Others hear you a little late.`;
    return { mood: "fair", text };
  }
  return { mood: "good", text: "Your connection is good." };
}

const BREAKING: Verdict = { mood: "poor", text: "Sound and pictures may break up." };

const repaired = (late: number, soundRepeated: boolean): Verdict => ({
  mood: "fair",
  text: `It is sent again, which makes pictures ${seconds(late)} late${soundRepeated ? ", and sound is sent several times" : ""}.`,
});

/** How media travels. */
export function wayWords(way: Way | undefined): string {
  switch (way?.kind) {
    case undefined:
      return "Not connected yet.";
    case "udp":
      return "Directly, over UDP: the quickest way.";
    case "tcp":
      return "Over TCP, since your network lets no UDP through. Pictures may stutter when data is lost.";
    case "relay":
      return `By a relay server${way.relayProtocol ? ` over ${way.relayProtocol.toUpperCase()}` : ""}, since your network allows no direct way.`;
  }
}

/** What a slot shows. */
export function pictureWords({ sent }: ExplainedSlot): string {
  return sent ? layer(sent) : "No picture is sent";
}

/** An encoding that is sent, or why it is not. */
export function sendingWords(encoding: SentEncoding, bitsPerSecond: number, needed: boolean): string {
  if (!needed || !encoding.active) {
    return "Not needed now";
  }
  if (encoding.framesPerSecond === 0) {
    return encoding.limit === "bandwidth" ? "Paused: your connection carries too little" : "Not sent now";
  }
  const limits: Readonly<Record<string, string>> = {
    bandwidth: "; held back by your connection",
    cpu: "; held back by your computer",
  };
  return `${layer({ ...encoding, bitsPerSecond })}${limits[encoding.limit] ?? ""}`;
}

/** The names of encodings for people, the smallest first. */
const SIZES: Readonly<Record<string, string>> = { q: "Small", h: "Medium", f: "Full", "": "Picture" };
export const sizeName = (rid: string): string => SIZES[rid] ?? rid;
