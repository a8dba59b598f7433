import { describe, expect, test } from "vitest";
import { settle } from "@/testing/fake_clock";
import { FakeAccess } from "@/testing/fake_media";
import { Capture, type CaptureState, problemOf } from "./capture";

/** A capture of cameras, and everything that can happen to it. */
class Stand {
  readonly access = new FakeAccess();
  readonly told: CaptureState[] = [];
  readonly capture = new Capture({
    open: async (deviceId) =>
      (await this.access.getUserMedia({ video: { deviceId: { ideal: deviceId } } })).getTracks(),
    onState: (state) => this.told.push(state),
  });
  /** What the person wants by now, as the machine should remember it. */
  private wish: string | undefined;
  private left = false;

  readonly happenings: Readonly<Record<string, () => void>> = {
    a: () => this.want("a"),
    b: () => this.want("b"),
    off: () => this.want(undefined),
    allow: () => this.access.allow(),
    refuse: () => this.access.refuse(),
    unplug: () => this.access.live("video")[0]?.unplug(),
    late: () => this.access.tracks[0]?.sayEnded(),
    leave: () => {
      this.left = true;
      this.capture.close();
    },
  };

  private want(deviceId: string | undefined): void {
    this.wish = deviceId;
    this.capture.want(deviceId);
  }

  /** What is not as it must be, whatever happened. */
  faults(): string[] {
    const live = this.access.live("video");
    const { kind } = this.capture.state;
    const wanted = this.wish !== undefined && !this.left;
    const questions = this.access.questions.length;
    const truths = {
      "one live capture at most": live.length <= 1,
      "one question at a time": questions <= 1,
      "nothing live that is not wanted": wanted || (live.length === 0 && kind === "off"),
      "what is live is what is wanted": live.every(({ deviceId }) => deviceId === this.wish),
      "it says live when it is": (kind === "live") === (live.length === 1),
      "whoever waits for a device has asked for it": !wanted || (kind === "opening") === (questions === 1),
    };
    return Object.entries(truths).flatMap(([truth, holds]) => (holds ? [] : [truth]));
  }

  /** Answers what is still open. */
  async drain(): Promise<void> {
    while (this.access.questions.length > 0) {
      this.access.allow();
      await settle();
    }
  }
}

async function run(steps: readonly string[], settled = settle): Promise<void> {
  const stand = new Stand();
  for (const step of steps) {
    stand.happenings[step]?.();
    await settled();
    const faults = settled === settle ? stand.faults() : [];
    if (faults.length > 0) {
      throw new Error(`${steps.join(", ")}: at ${step} not true: ${faults.join("; ")}`);
    }
  }
  await settle();
  await stand.drain();
  expect(stand.faults(), steps.join()).toEqual([]);
}

function* sequences(steps: readonly string[], length: number): Generator<string[]> {
  if (length === 0) {
    yield [];
    return;
  }
  for (const rest of sequences(steps, length - 1)) {
    for (const step of steps) {
      yield [...rest, step];
    }
  }
}

/** Numbers from 0 to 1, the same in each run (Park and Miller). */
function* random(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (state * 48_271) % 2_147_483_647;
    yield state / 2_147_483_647;
  }
}

describe("W1, W2, DEV-5, DEV-8, DEV-10: one live capture at most, and none that is not wanted", () => {
  const names = Object.keys(new Stand().happenings);

  test("in every order of five happenings", async () => {
    let orders = 0;
    for (const steps of sequences(names, 5)) {
      await run(steps);
      orders += 1;
    }
    expect(orders).toBe(names.length ** 5);
  }, 60_000);

  test("in long random orders", async () => {
    const numbers = random(20_261_130);
    const often = [...names.filter((name) => name !== "leave"), "allow", "allow"];
    for (let round = 0; round < 300; round += 1) {
      await run(Array.from({ length: 40 }, () => often[Math.floor(numbers.next().value * often.length)] ?? "off"));
    }
  });

  test("when several things happen before the browser gets to answer", async () => {
    for (const steps of sequences(names, 4)) {
      await run(steps, async () => undefined);
    }
  });
});

test("a question that is still open serves whoever wants the same again", async () => {
  const { access, capture } = new Stand();
  capture.want("a");
  capture.want(undefined);
  capture.want("a");
  access.allow();
  await settle();
  expect(access.asked).toBe(1);
  expect(capture.state.kind).toBe("live");
});

test("what is live is stopped before another device is asked for, and counts as going on", async () => {
  const { access, capture, told } = new Stand();
  capture.want("a");
  access.allow();
  await settle();
  capture.want("b");
  expect(access.live("video")).toEqual([]);
  expect(told.at(-1)).toEqual({ kind: "opening", again: true });
});

test("DEV-9: the late end of a predecessor is no end of its successor", async () => {
  const { access, capture } = new Stand();
  for (const device of ["a", "b"]) {
    capture.want(device);
    access.allow();
    await settle();
  }
  access.tracks[0]?.sayEnded();
  expect(capture.state.kind).toBe("live");
});

test("a device that is gone by the time it is given counts as missing", async () => {
  const { access, capture } = new Stand();
  capture.want("a");
  access.allow();
  access.tracks[0]?.stop();
  await settle();
  expect(capture.state).toEqual({ kind: "failed", problem: "missing" });
});

test.each([
  ["NotAllowedError", "denied"],
  ["NotFoundError", "missing"],
  ["NotReadableError", "busy"],
  ["TypeError", "failed"],
])("%s means %s", (name, problem) => {
  expect(problemOf(Object.assign(new Error(), { name }))).toBe(problem);
});
