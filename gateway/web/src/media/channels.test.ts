import { create, toBinary } from "@bufbuild/protobuf";
import { ChannelMessageSchema } from "@gen/signaling/v1/channel_pb";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openChannel, type Received } from "./channels";

class FakeDataChannel extends EventTarget {
  readyState = "open";
  bufferedAmount = 0;
  binaryType = "blob";
  readonly sent: Uint8Array[] = [];

  send(payload: Uint8Array): void {
    this.sent.push(payload);
  }

  close(): void {
    this.readyState = "closed";
    this.dispatchEvent(new Event("close"));
  }

  bring(data: unknown): void {
    this.dispatchEvent(new MessageEvent("message", { data }));
  }
}

class FakeConnection {
  connectionState = "connected";
  readonly made: { label: string; init: RTCDataChannelInit; channel: FakeDataChannel }[] = [];

  createDataChannel(label: string, init: RTCDataChannelInit): FakeDataChannel {
    const channel = new FakeDataChannel();
    this.made.push({ label, init, channel });
    return channel;
  }

  latest(): FakeDataChannel {
    return this.made.at(-1)?.channel as FakeDataChannel;
  }
}

const open = (connection: FakeConnection, label: "pointer" | "strokes" = "pointer") =>
  openChannel(connection as unknown as RTCPeerConnection, label);
const payload = new Uint8Array([7]);

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("a channel promises what its label does", () => {
  const connection = new FakeConnection();
  open(connection);
  open(connection, "strokes");
  expect(connection.made.map(({ label, init }) => [label, init])).toEqual([
    ["pointer", { ordered: false, maxRetransmits: 0 }],
    ["strokes", { ordered: true }],
  ]);
});

test("messages come with their sender; others are ignored", () => {
  const connection = new FakeConnection();
  const heard: Received[] = [];
  open(connection).onMessage((message) => heard.push(message));
  const message = toBinary(ChannelMessageSchema, create(ChannelMessageSchema, { participantId: "ann", payload }));
  connection.latest().bring("text");
  connection.latest().bring(new Uint8Array([0xff]).buffer);
  connection.latest().bring(message.slice().buffer);
  expect(heard.map(({ participant, payload: said }) => [participant, [...said]])).toEqual([["ann", [7]]]);
});

test("what would wait is dropped where it may be lost, and sent where it may not", () => {
  const connection = new FakeConnection();
  for (const [label, sent] of [
    ["pointer", 0],
    ["strokes", 1],
  ] as const) {
    const channel = open(connection, label);
    connection.latest().bufferedAmount = 10_000;
    channel.send(payload);
    expect(connection.latest().sent).toHaveLength(sent);
  }
});

test("a closed channel is opened again, later each time, and keeps its listener", () => {
  const connection = new FakeConnection();
  const heard: Received[] = [];
  const channel = open(connection);
  channel.onMessage((message) => heard.push(message));
  connection.latest().close();
  channel.send(payload);
  vi.advanceTimersByTime(1_000);
  expect(connection.made).toHaveLength(2);
  connection.latest().close();
  vi.advanceTimersByTime(1_000);
  expect(connection.made).toHaveLength(2);
  vi.advanceTimersByTime(1_000);
  expect(connection.made).toHaveLength(3);
  const message = toBinary(ChannelMessageSchema, create(ChannelMessageSchema, { participantId: "bob", payload }));
  connection.latest().bring(message.slice().buffer);
  expect(heard).toHaveLength(1);
});

test("a connection that is over gets no new channel", () => {
  const connection = new FakeConnection();
  open(connection);
  connection.connectionState = "closed";
  connection.latest().close();
  vi.advanceTimersByTime(10_000);
  expect(connection.made).toHaveLength(1);
});
