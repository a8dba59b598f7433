/** Why pictures look as they do, in the client's own words; `rpc/convert_explanation.ts` translates from the contract. */

/** What an estimate of the way does and why; `unknown`: there is no feedback. */
export type Bandwidth = "unknown" | "sufficient" | "increasing" | "holding" | "delayed" | "lossy" | "probing";

/** Why a slot carries no better layer; `empty`: it carries nothing. */
export type Reason = "empty" | "best" | "viewport" | "bandwidth" | "sender" | "policy" | "cpu" | "switching" | "codec";

/** A quality of a track. */
export interface Layer {
  readonly rid: string;
  /** Pixels; 0: not known. */
  readonly height: number;
  readonly framesPerSecond: number;
  readonly bitsPerSecond: number;
}

/** The way from the node to this client. */
export interface Receiving {
  /** What it is believed to carry, in bits a second; 0: not known yet. */
  readonly estimated: number;
  readonly sent: number;
  readonly wanted: number;
  readonly state: Bandwidth;
  readonly queueingDelayMs: number;
  /** 0 to 1. */
  readonly lost: number;
  /** 0: not known yet. */
  readonly roundTripMs: number;
  readonly soundRepeated: boolean;
}

export interface ExplainedSlot {
  readonly mid: string;
  readonly sent: Layer | undefined;
  readonly reason: Reason;
  /** The node's own sentence. */
  readonly words: string;
  /** How much later it is shown, so that what is lost is sent again in time. */
  readonly repairWaitMs: number;
}

export interface ExplainedTrack {
  readonly mid: string;
  readonly encodings: readonly Layer[];
  readonly wantedRids: readonly string[];
  readonly codec: string;
  /** 0 to 1. */
  readonly lost: number;
}

export interface Explanation {
  readonly receiving: Receiving | undefined;
  readonly slots: readonly ExplainedSlot[];
  readonly tracks: readonly ExplainedTrack[];
}
