/** Who points where on shared screens: sends one's own pointer, and keeps those of others while they move. */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { PointerMessageSchema } from "@gen/signaling/v1/channel_pb";
import type { Channel } from "@/media/channels";
import type { Clock } from "@/rpc/retry";
import { Store } from "./store";

/** A place on a picture: fractions of its width and height. */
export interface Place {
  readonly x: number;
  readonly y: number;
}

/** Somebody's pointer. */
export interface Pointer extends Place {
  readonly participant: string;
  /** Whose screen it points at. */
  readonly sharer: string;
}

/** At most 30 messages a second. */
const INTERVAL_MS = 34;
/** A pointer that has not moved for so long has gone. */
export const REST_MS = 1_000;

export class Pointers {
  /** Those that moved within the last second. */
  readonly store = new Store<readonly Pointer[]>([]);
  private channel: Channel | undefined;
  /** What is to be sent when the time has come. */
  private next: { readonly sharer: string; readonly place: Place; readonly visible: boolean } | undefined;
  private sentAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly clock: Clock,
    private readonly signal: AbortSignal,
  ) {}

  /** Uses the channel of another connection. */
  bind(channel: Channel): void {
    this.channel = channel;
    channel.onMessage(({ participant, payload }) => this.receive(participant, payload));
  }

  /** One's own pointer has moved. */
  point(sharer: string, place: Place): void {
    this.send({ sharer, place, visible: true });
  }

  /** One's own pointer has left the picture. */
  leave(sharer: string, place: Place): void {
    this.send({ sharer, place, visible: false });
  }

  private send(message: NonNullable<typeof this.next>): void {
    const waiting = this.next !== undefined;
    this.next = message;
    if (!waiting) {
      const wait = this.sentAt + INTERVAL_MS - this.clock.now();
      void (wait > 0 ? this.clock.sleep(wait, this.signal).then(() => this.flush()) : this.flush());
    }
  }

  private flush(): void {
    const { next } = this;
    this.next = undefined;
    if (next && !this.signal.aborted) {
      const { sharer: sharerId, place, visible } = next;
      this.sentAt = this.clock.now();
      const message = create(PointerMessageSchema, { sharerId, ...place, visible });
      this.channel?.send(toBinary(PointerMessageSchema, message));
    }
  }

  private receive(participant: string, payload: Uint8Array): void {
    const message = read(payload);
    if (!message) {
      return;
    }
    const { sharerId: sharer, x, y, visible } = message;
    const others = this.store.get().filter((pointer) => pointer.participant !== participant);
    const pointer = { participant, sharer, x, y };
    this.store.set(visible ? [...others, pointer] : others);
    void this.clock.sleep(REST_MS, this.signal).then(() => {
      // Another one stands there by now if it has moved since.
      this.store.update((now) => (now.includes(pointer) ? now.filter((one) => one !== pointer) : now));
    });
  }
}

function read(payload: Uint8Array) {
  try {
    const message = fromBinary(PointerMessageSchema, payload);
    const inside = [message.x, message.y].every((part) => part >= 0 && part <= 1);
    return inside ? message : undefined;
  } catch {
    // Others may run a client that says more than this one knows, or nonsense.
    return undefined;
  }
}
