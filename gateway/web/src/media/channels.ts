/** The data channels of one peer connection: what need not go through the event log (`parley.signaling.v1`, channel.proto). */

import { fromBinary } from "@bufbuild/protobuf";
import { ChannelMessageSchema } from "@gen/signaling/v1/channel_pb";

/** What each label promises; the node closes channels that promise something else. */
const PROMISES = {
  pointer: { ordered: false, maxRetransmits: 0 },
  strokes: { ordered: true },
  captions: { ordered: true },
} as const satisfies Record<string, RTCDataChannelInit>;

export type Label = keyof typeof PROMISES;

/** A message from somebody else. */
export interface Received {
  readonly participant: string;
  readonly payload: Uint8Array;
}

/** How soon a channel that was closed, because this device was too slow for it, is opened again; twice as late each time. */
const REOPEN_MS = 1_000;
const LATEST_REOPEN_MS = 60_000;
/** What may wait on a channel that repeats nothing: with more the network is too slow, and what waits is out of date. */
const MAX_WAITING = 4_096;

export interface Channel {
  /** Sends a message unless the channel is not open, or is too slow for one that may be lost. */
  send(payload: Uint8Array<ArrayBuffer>): void;
  onMessage(listener: (message: Received) => void): void;
}

/** Opens a channel for the life of a connection; before the first offer, so that the offer has an m-line for it. */
export function openChannel(connection: RTCPeerConnection, label: Label): Channel {
  let channel: RTCDataChannel;
  let wait = REOPEN_MS;
  let listener: (message: Received) => void = () => undefined;
  const open = () => {
    channel = connection.createDataChannel(label, PROMISES[label]);
    channel.binaryType = "arraybuffer";
    channel.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
      const message = read(data);
      if (message) {
        listener(message);
      }
    });
    channel.addEventListener("close", () => {
      setTimeout(reopen, wait);
      wait = Math.min(2 * wait, LATEST_REOPEN_MS);
    });
  };
  const reopen = () => {
    // A connection that has failed or is closed is replaced by another with channels of its own.
    if (connection.connectionState === "connected") {
      open();
    }
  };
  open();
  return {
    send(payload) {
      const lossy = "maxRetransmits" in PROMISES[label];
      if (channel.readyState === "open" && !(lossy && channel.bufferedAmount > MAX_WAITING)) {
        channel.send(payload);
      }
    },
    onMessage(next) {
      listener = next;
    },
  };
}

function read(data: unknown): Received | undefined {
  if (!(data instanceof ArrayBuffer)) {
    return undefined;
  }
  try {
    const { participantId, payload } = fromBinary(ChannelMessageSchema, new Uint8Array(data));
    return { participant: participantId, payload };
  } catch {
    // A newer node may say what this client does not know.
    return undefined;
  }
}
