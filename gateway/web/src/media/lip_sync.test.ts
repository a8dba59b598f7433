import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LipSync } from "./lip_sync";
import type { Slot } from "./peer";

const PERIOD_MS = 1_000;
const FRAMES = 25;

/** A video slot whose pictures wait for so many seconds. */
class Pictures {
  wait = 0;
  comes = true;
  private seconds = 0;
  private frames = 0;
  readonly receiver = {
    getStats: async () => {
      if (this.comes) {
        this.seconds += FRAMES * this.wait;
        this.frames += FRAMES;
      }
      const report = { type: "inbound-rtp", jitterBufferDelay: this.seconds, jitterBufferEmittedCount: this.frames };
      return new Map([["1", report]]);
    },
  } as unknown as RTCRtpReceiver;
}

let camera: Pictures;
let screen: Pictures;
let voice: { jitterBufferTarget: number | null };
let people: Record<string, string>;
let lipSync: LipSync;

beforeEach(() => {
  vi.useFakeTimers();
  [camera, screen, voice] = [new Pictures(), new Pictures(), { jitterBufferTarget: null }];
  people = { "4": "a", "7": "a" };
  const slots: Record<"audio" | "video", readonly Slot[]> = {
    audio: [{ mid: "4", receiver: voice as RTCRtpReceiver }],
    video: [
      { mid: "7", receiver: camera.receiver },
      { mid: "8", receiver: screen.receiver },
    ],
  };
  lipSync = new LipSync({ slots: (kind) => slots[kind], participantOf: (mid) => people[mid] ?? "" });
});

afterEach(() => {
  lipSync.close();
  vi.useRealTimers();
});

async function look(times = 2): Promise<number | null> {
  await vi.advanceTimersByTimeAsync(times * PERIOD_MS);
  return voice.jitterBufferTarget;
}

test("a voice waits as long as the picture of whoever speaks, and no longer when that comes at once again", async () => {
  camera.wait = 0.01;
  expect(await look()).toBeNull();
  camera.wait = 0.3;
  expect(await look(1)).toBe(300);
  camera.wait = 0.31;
  expect(await look(1)).toBe(300);
  camera.wait = 0.01;
  expect(await look(1)).toBeNull();
});

test("it waits for nobody else's picture, and for none that is gone", async () => {
  camera.wait = 0.3;
  people = { "4": "a", "7": "b" };
  expect(await look()).toBeNull();
  people = { "4": "a", "7": "a" };
  expect(await look()).toBe(300);
  camera.comes = false;
  expect(await look()).toBe(300);
  people = { "4": "a" };
  expect(await look()).toBeNull();
});

test("of a camera and a screen it goes with the earlier one, and never waits for long", async () => {
  [camera.wait, screen.wait] = [0.4, 0.2];
  people = { "4": "a", "7": "a", "8": "a" };
  expect(await look()).toBe(200);
  [camera.wait, screen.wait] = [5, 5];
  expect(await look(1)).toBe(800);
});
