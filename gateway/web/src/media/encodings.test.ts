import { describe, expect, test } from "vitest";
import { settle } from "@/testing/fake_clock";
import { cameraEncodings, type EncodingSender, EncodingSwitch, planEncodings } from "./encodings";

const sent = (height: number, needed?: readonly string[], width = (height * 16) / 9) =>
  planEncodings({ width, height }, needed).map(({ rid, active, scaleResolutionDownBy, maxBitrate }) =>
    active ? `${rid} 1/${scaleResolutionDownBy} ${maxBitrate / 1000}k` : `${rid} off`,
  );

describe("a camera's encodings", () => {
  test("are a quarter, a half and all of 720 lines", () => {
    expect(sent(720)).toEqual(["q 1/4 150k", "h 1/2 500k", "f 1/1 1700k"]);
  });

  test("are fewer of a small capture", () => {
    expect(sent(360)).toEqual(["q 1/2 150k", "h 1/1 500k", "f off"]);
    expect(sent(180)).toEqual(["q 1/1 150k", "h off", "f off"]);
  });

  test("cost more of a large one", () => {
    expect(sent(1080)).toEqual(["q 1/4 500k", "h 1/2 1700k", "f 1/1 3000k"]);
  });

  test("are no more than Chromium sends of a picture", () => {
    expect(sent(480, undefined, 640)).toEqual(["q 1/2 500k", "h 1/1 1700k", "f off"]);
    expect(sent(540)).toEqual(["q 1/4 150k", "h 1/2 500k", "f 1/1 1700k"]);
  });

  test("are those of the usual camera before there is one", () => {
    expect(cameraEncodings()).toMatchObject(planEncodings({ width: 1280, height: 720 }, undefined));
  });

  test("stop when nobody needs them", () => {
    expect(sent(720, ["q"])).toEqual(["q 1/4 150k", "h off", "f off"]);
    expect(sent(720, [])).toEqual(["q off", "h off", "f off"]);
  });

  test("come as near as they can to what a small camera does not have", () => {
    expect(sent(360, ["f"])).toEqual(["q off", "h 1/1 500k", "f off"]);
    expect(sent(360, ["q", "f"])).toEqual(["q 1/2 150k", "h 1/1 500k", "f off"]);
    expect(sent(360, ["q"])).toEqual(["q 1/2 150k", "h off", "f off"]);
  });
});

/** A sender as browsers have it: parameters are good for one change, and changes take a while. */
class FakeSender implements EncodingSender {
  track: MediaStreamTrack | null = { getSettings: () => ({ width: 1280, height: 720 }) } as MediaStreamTrack;
  encodings: RTCRtpEncodingParameters[] = ["q", "h", "f"].map((rid) => ({ rid, active: true }));
  readonly done: (() => void)[] = [];
  private read = 0;
  changes = 0;

  getParameters(): RTCRtpSendParameters {
    this.read += 1;
    const encodings = this.encodings.map((encoding) => ({ ...encoding }));
    return { transactionId: `${this.read}`, encodings, codecs: [], headerExtensions: [], rtcp: {} };
  }

  async setParameters(parameters: RTCRtpSendParameters): Promise<void> {
    if (parameters.transactionId !== `${this.read}`) {
      throw new DOMException("these parameters are not the last that were read", "InvalidModificationError");
    }
    this.changes += 1;
    await new Promise<void>((resolve) => this.done.push(resolve));
    this.encodings = parameters.encodings;
  }

  async finish(): Promise<void> {
    await settle();
    while (this.done.length > 0) {
      this.done.shift()?.();
      await settle();
    }
  }

  get active(): string {
    return this.encodings.flatMap(({ rid, active }) => (active ? [rid] : [])).join("");
  }
}

describe("switching encodings", () => {
  test("changes take turns, and the last need counts", async () => {
    const sender = new FakeSender();
    const encodings = new EncodingSwitch(sender);
    encodings.need(["q"]);
    encodings.need(["q", "h"]);
    encodings.need(["f"]);
    await sender.finish();
    expect(sender.active).toBe("f");
    expect(sender.changes).toBe(2);
  });

  test("what is so already is left alone", async () => {
    const sender = new FakeSender();
    const encodings = new EncodingSwitch(sender);
    encodings.need(["q"]);
    await sender.finish();
    encodings.need(["q"]);
    await sender.finish();
    expect(sender.changes).toBe(1);
  });

  test("another camera keeps what is needed", async () => {
    const sender = new FakeSender();
    const encodings = new EncodingSwitch(sender);
    encodings.need(["q", "h"]);
    await sender.finish();
    sender.track = { getSettings: () => ({ width: 320, height: 180 }) } as MediaStreamTrack;
    encodings.refresh();
    await sender.finish();
    expect(sender.active).toBe("q");
    expect(sender.encodings[0]?.scaleResolutionDownBy).toBe(1);
  });

  test("all come back", async () => {
    const sender = new FakeSender();
    const encodings = new EncodingSwitch(sender);
    encodings.need([]);
    await sender.finish();
    expect(sender.active).toBe("");
    encodings.need(undefined);
    await sender.finish();
    expect(sender.active).toBe("qhf");
  });

  test("a refused change is made at the next occasion", async () => {
    const sender = new FakeSender();
    const encodings = new EncodingSwitch(sender);
    sender.setParameters = () => Promise.reject(new DOMException("", "InvalidStateError"));
    encodings.need(["q"]);
    await settle();
    Reflect.deleteProperty(sender, "setParameters");
    encodings.refresh();
    await sender.finish();
    expect(sender.active).toBe("q");
  });

  test("a track with one encoding is left alone", async () => {
    const sender = new FakeSender();
    sender.encodings = [{ active: true }];
    new EncodingSwitch(sender).need([]);
    await sender.finish();
    expect(sender.changes).toBe(0);
  });
});
