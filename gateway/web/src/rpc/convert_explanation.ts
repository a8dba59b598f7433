/** From the contract's explanation to the client's own words. */

import {
  BandwidthState,
  LayerReason,
  type MediaExplanation,
  type ReceivingPath,
  type VideoLayer,
} from "@gen/meeting/v1/explanation_pb";
import type { Bandwidth, Explanation, Layer, Reason, Receiving } from "@/quality/explanation";

const STATES: Readonly<Record<BandwidthState, Bandwidth>> = {
  [BandwidthState.UNSPECIFIED]: "unknown",
  [BandwidthState.SUFFICIENT]: "sufficient",
  [BandwidthState.INCREASING]: "increasing",
  [BandwidthState.HOLDING]: "holding",
  [BandwidthState.DELAYED]: "delayed",
  [BandwidthState.LOSSY]: "lossy",
  [BandwidthState.PROBING]: "probing",
};

const REASONS: Readonly<Record<LayerReason, Reason>> = {
  [LayerReason.UNSPECIFIED]: "empty",
  [LayerReason.BEST]: "best",
  [LayerReason.VIEWPORT]: "viewport",
  [LayerReason.BANDWIDTH]: "bandwidth",
  [LayerReason.SENDER]: "sender",
  [LayerReason.POLICY]: "policy",
  [LayerReason.CPU]: "cpu",
  [LayerReason.SWITCHING]: "switching",
  [LayerReason.CODEC]: "codec",
};

export function toExplanation(pb: MediaExplanation | undefined): Explanation {
  return {
    receiving: pb?.receiving && toReceiving(pb.receiving),
    slots: (pb?.slots ?? []).map(({ mid, sent, reason, words, repairWaitMs }) => ({
      mid,
      sent: sent && toLayer(sent),
      reason: REASONS[reason] ?? "policy",
      words,
      repairWaitMs,
    })),
    tracks: (pb?.tracks ?? []).map(({ mid, encodings, wantedRids, codec, fractionLost }) => ({
      mid,
      encodings: encodings.map(toLayer),
      wantedRids,
      codec,
      lost: fractionLost,
    })),
  };
}

function toReceiving(pb: ReceivingPath): Receiving {
  return {
    estimated: Number(pb.estimatedBitsPerSecond),
    sent: Number(pb.sentBitsPerSecond),
    wanted: Number(pb.wantedBitsPerSecond),
    state: STATES[pb.state] ?? "unknown",
    queueingDelayMs: pb.queueingDelayMs,
    lost: pb.fractionLost,
    roundTripMs: pb.roundTripTimeMs,
    soundRepeated: pb.soundRepeated,
  };
}

function toLayer({ rid, height, framesPerSecond, bitsPerSecond }: VideoLayer): Layer {
  return { rid, height, framesPerSecond, bitsPerSecond: Number(bitsPerSecond) };
}
