import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { PointerMessageSchema } from "@gen/signaling/v1/channel_pb";
import { expect, test } from "vitest";
import type { Channel, Received } from "@/media/channels";
import { FakeClock } from "@/testing/fake_clock";
import { Pointers } from "./pointers";

const SHARER = "0b7c1c3e-6f0e-4f3e-9c55-1d7e8a1b2c3d";

class FakeChannel implements Channel {
  readonly sent: Uint8Array[] = [];
  private listener: (message: Received) => void = () => undefined;

  send(payload: Uint8Array): void {
    this.sent.push(payload);
  }

  onMessage(listener: (message: Received) => void): void {
    this.listener = listener;
  }

  say(participant: string, x: number, y: number, visible = true): void {
    this.bring(
      participant,
      toBinary(PointerMessageSchema, create(PointerMessageSchema, { sharerId: SHARER, x, y, visible })),
    );
  }

  bring(participant: string, payload: Uint8Array): void {
    this.listener({ participant, payload });
  }
}

function setUp() {
  const [clock, channel, life] = [new FakeClock(), new FakeChannel(), new AbortController()];
  const pointers = new Pointers(clock, life.signal);
  pointers.bind(channel);
  return { clock, channel, life, pointers };
}

test("the first position goes at once, then 30 a second at most, and the last one always", async () => {
  const { clock, channel, pointers } = setUp();
  for (let step = 0; step < 100; step += 1) {
    pointers.point(SHARER, { x: step / 128, y: 0.5 });
    if (step === 0) {
      expect(channel.sent).toHaveLength(1);
    }
    await clock.pass(10);
  }
  await clock.pass(100);
  expect(channel.sent.length).toBeGreaterThan(20);
  expect(channel.sent.length).toBeLessThanOrEqual(31);
  const last = fromBinary(PointerMessageSchema, channel.sent.at(-1) as Uint8Array);
  expect([last.sharerId, last.x, last.y, last.visible]).toEqual([SHARER, 99 / 128, 0.5, true]);
});

test("a pointer that leaves the picture is gone, also right after a move", async () => {
  const { clock, channel, pointers } = setUp();
  pointers.point(SHARER, { x: 0.5, y: 0.5 });
  pointers.point(SHARER, { x: 0.6, y: 0.5 });
  pointers.leave(SHARER, { x: 0.6, y: 0.5 });
  await clock.pass(100);
  const visible = channel.sent.map((payload) => fromBinary(PointerMessageSchema, payload).visible);
  expect(visible).toEqual([true, false]);
});

test("pointers of others stay for a second after their last move", async () => {
  const { clock, channel, pointers } = setUp();
  channel.say("ann", 0.25, 0.5);
  channel.say("bob", 0.75, 0.5);
  await clock.pass(900);
  channel.say("ann", 0.5, 0.5);
  await clock.pass(200);
  expect(pointers.store.get()).toEqual([{ participant: "ann", sharer: SHARER, x: 0.5, y: 0.5 }]);
  channel.say("ann", 0.5, 0.5, false);
  expect(pointers.store.get()).toEqual([]);
});

test("nonsense from others is ignored", () => {
  const { channel, pointers } = setUp();
  channel.say("ann", 1.5, 0.5);
  channel.say("ann", Number.NaN, 0.5);
  channel.bring("ann", new Uint8Array([0xff, 0xff]));
  expect(pointers.store.get()).toEqual([]);
});

test("nothing is sent after the end, and a new connection's channel takes over", async () => {
  const { clock, channel, life, pointers } = setUp();
  const second = new FakeChannel();
  pointers.bind(second);
  pointers.point(SHARER, { x: 0.5, y: 0.5 });
  pointers.point(SHARER, { x: 0.6, y: 0.5 });
  life.abort();
  await clock.pass(100);
  expect([channel.sent.length, second.sent.length]).toEqual([0, 1]);
});
