import { beforeEach, describe, expect, test, vi } from "vitest";
import { settle } from "@/testing/fake_clock";
import { FakeAccess } from "@/testing/fake_media";
import { isOn, LocalMedia } from "./local_media";

const stored = new Map<string, string>();
vi.stubGlobal("localStorage", {
  getItem: (key: string) => stored.get(key) ?? null,
  setItem: (key: string, value: string) => stored.set(key, value),
});
const preferences = () => JSON.parse(stored.get("parley.devices") ?? "{}");

beforeEach(() => stored.clear());

function open(options: { muted?: boolean } = {}) {
  const access = new FakeAccess();
  const local = new LocalMedia({ ...options, access });
  return { access, local };
}

/** In a call with both devices live. */
async function inCall(options: { muted?: boolean } = {}) {
  const { access, local } = open(options);
  local.start();
  await settle();
  access.allow();
  await settle();
  return { access, local };
}

describe("starting", () => {
  test("asks for both in one question", async () => {
    const { access, local } = await inCall();
    expect(access.asked).toBe(1);
    expect([local.muted("microphone"), local.muted("camera")]).toEqual([false, false]);
  });

  test("leaves a camera alone that was off the last time, and opens a muted microphone in silence", async () => {
    stored.set("parley.devices", JSON.stringify({ cameraOn: false, microphoneOn: false }));
    const { access, local } = await inCall();
    expect(access.live("video")).toEqual([]);
    expect(access.live("audio").map(({ enabled }) => enabled)).toEqual([false]);
    expect([local.muted("microphone"), local.muted("camera")]).toEqual([true, true]);
  });

  test("DEV-1c: a camera that is denied costs nobody the microphone", async () => {
    const { access, local } = open();
    access.permissions = { camera: "denied", microphone: "granted" };
    local.start();
    await settle();
    access.refuse();
    await settle();
    access.allow();
    await settle();
    const { microphone, camera } = local.state.get();
    expect([microphone.problem, camera.problem]).toEqual([undefined, "denied"]);
    expect(local.muted("microphone")).toBe(false);
    expect(access.questions).toEqual([]);
  });

  test("DEV-1c: nor does a denied microphone cost the camera, where the browser tells no permissions", async () => {
    const { access, local } = open();
    local.start();
    await settle();
    access.refuse();
    await settle();
    access.refuse();
    access.allow();
    await settle();
    expect([local.muted("microphone"), local.muted("camera")]).toEqual([true, false]);
  });

  test("a question that somebody answered with no is not put again in parts", async () => {
    const { access, local } = open();
    access.permissions = { camera: "prompt", microphone: "prompt" };
    local.start();
    await settle();
    access.refuse();
    await settle();
    expect(access.asked).toBe(1);
    expect(local.state.get().microphone.problem).toBe("denied");
  });

  test("a missing camera leaves the microphone", async () => {
    const { access, local } = open();
    local.start();
    await settle();
    access.refuse("NotFoundError");
    await settle();
    access.allow();
    access.refuse("NotFoundError");
    await settle();
    expect(local.muted("microphone")).toBe(false);
    expect(local.state.get().camera.problem).toBe("missing");
  });
});

describe("what the button says is what is sent", () => {
  const presses = ["camera", "microphone", "again", "choose", "allow", "refuse"] as const;

  function press({ access, local }: ReturnType<typeof open>, what: (typeof presses)[number]): void {
    switch (what) {
      case "camera":
        local.setCamera(!isOn(local.state.get().camera));
        break;
      case "microphone":
        local.setMicrophone(!isOn(local.state.get().microphone));
        break;
      case "again":
        local.start();
        break;
      case "choose":
        local.choose("camera", `camera ${access.asked}`);
        break;
      case "allow":
        access.allow();
        break;
      case "refuse":
        access.refuse();
        break;
    }
  }

  function check({ access, local }: ReturnType<typeof open>): void {
    const { camera, microphone } = local.state.get();
    expect(access.live("video").length).toBeLessThanOrEqual(1);
    expect(access.live("audio").length).toBeLessThanOrEqual(1);
    if (!isOn(camera)) {
      expect(access.live("video")).toEqual([]);
      expect(local.muted("camera")).toBe(true);
    }
    if (!isOn(microphone)) {
      expect(access.live("audio").filter(({ enabled }) => enabled)).toEqual([]);
      expect(local.muted("microphone")).toBe(true);
    }
  }

  test("W1, W2, DEV-5, DEV-8, DEV-10: in every order of presses and answers, up to leaving", async () => {
    const orders = presses.length ** 4;
    for (let order = 0; order < orders; order += 1) {
      const stand = open();
      stand.local.start();
      await settle();
      const steps = [0, 1, 2, 3].map((place) => presses[Math.floor(order / presses.length ** place) % presses.length]);
      for (const step of steps) {
        press(stand, step ?? "allow");
        await settle();
        check(stand);
      }
      stand.local.close();
      for (let turn = 0; turn < 4; turn += 1) {
        stand.access.allow();
        await settle();
      }
      expect([...stand.access.live("video"), ...stand.access.live("audio")], steps.join()).toEqual([]);
    }
  }, 60_000);

  test("listeners end with the track that is live", async () => {
    const { access, local } = await inCall();
    const told: unknown[] = [];
    local.onTrack((source, track) => source === "camera" && told.push(track));
    local.setCamera(false);
    local.setCamera(true);
    local.setCamera(false);
    await settle();
    access.allow();
    await settle();
    expect(told.at(-1)).toBeUndefined();
  });
});

describe("DEV-4, W8: a device that is lost in the call", () => {
  test.each(["camera", "microphone"] as const)("says so and goes on with the system's choice: %s", async (kind) => {
    const { access, local } = await inCall();
    local.choose(kind, "chosen");
    await settle();
    access.allow();
    await settle();
    access.live(kind === "camera" ? "video" : "audio")[0]?.unplug();
    expect(local.muted(kind)).toBe(true);
    await settle();
    expect(access.questions[0]?.devices[kind === "camera" ? "video" : "audio"]).toBe("");
    access.allow();
    await settle();
    expect(local.muted(kind)).toBe(false);
    expect(local.state.get().complaint).toEqual({ device: kind, problem: "replaced" });
    expect(preferences()[kind]).toBe("chosen");
  });

  test("says so where there is no other, and comes back when one is plugged in", async () => {
    const { access, local } = await inCall();
    access.live("video")[0]?.unplug();
    await settle();
    access.refuse("NotFoundError");
    await settle();
    expect(local.state.get().complaint).toEqual({ device: "camera", problem: "lost" });
    expect(isOn(local.state.get().camera)).toBe(false);
    access.plug([{ kind: "videoinput", deviceId: "new" }]);
    await settle();
    access.allow();
    await settle();
    expect(local.muted("camera")).toBe(false);
    expect(local.state.get().complaint).toBeUndefined();
  });

  test("is noticed by the list of devices where no event is fired", async () => {
    const { access, local } = await inCall();
    const list = [{ kind: "videoinput" as const, deviceId: "usb" }];
    access.plug(list);
    local.choose("camera", "usb");
    await settle();
    access.allow();
    await settle();
    access.plug([]);
    await settle();
    expect(access.live("video")).toEqual([]);
    expect(access.questions.length).toBe(1);
  });

  test("is replaced once by itself: a broken driver makes no loop", async () => {
    const { access, local } = await inCall();
    for (let turn = 0; turn < 5; turn += 1) {
      access.live("video")[0]?.unplug();
      await settle();
      access.allow();
      await settle();
    }
    expect(access.asked).toBe(2);
    expect(local.state.get().complaint).toEqual({ device: "camera", problem: "lost" });
  });

  test("stays off when it was switched off while it was being replaced", async () => {
    const { access, local } = await inCall();
    access.live("video")[0]?.unplug();
    local.setCamera(false);
    await settle();
    access.allow();
    await settle();
    expect(access.live("video")).toEqual([]);
    expect(local.state.get().complaint).toBeUndefined();
  });
});

describe("SHR-2: sharing a screen", () => {
  test("pressed twice while the browser asks shares once", async () => {
    const { access, local } = open();
    local.shareScreen();
    local.shareScreen();
    access.allow();
    await settle();
    expect(access.asked).toBe(1);
    expect(local.muted("screen")).toBe(false);
    local.stopScreen();
    expect([...access.live("video"), ...access.live("audio")]).toEqual([]);
  });

  test("stops what is picked after leaving or after a change of mind", async () => {
    const { access, local } = open();
    local.shareScreen();
    local.stopScreen();
    access.allow();
    await settle();
    local.shareScreen();
    local.close();
    access.allow();
    await settle();
    expect(access.asked).toBe(2);
    expect([...access.live("video"), ...access.live("audio")]).toEqual([]);
  });

  test("ends with its sound when it is stopped in the browser's bar, and can begin again", async () => {
    const { access, local } = open();
    local.shareScreen();
    access.allow();
    await settle();
    access.live("video")[0]?.unplug();
    expect(access.live("audio")).toEqual([]);
    expect(local.muted("screen")).toBe(true);
    local.shareScreen();
    access.refuse();
    await settle();
    local.shareScreen();
    expect(access.asked).toBe(3);
  });
});

describe("DEV-13, W5: what is remembered for the next meeting", () => {
  test("is not that this one mutes on entry", async () => {
    const { local } = await inCall({ muted: true });
    expect(local.muted("microphone")).toBe(true);
    local.setCamera(false);
    local.chooseSpeaker("speaker");
    expect(preferences()).toMatchObject({ microphoneOn: true, cameraOn: false, speaker: "speaker" });
  });

  test("is what the person switched", async () => {
    const { local } = await inCall();
    local.setMicrophone(false);
    expect(preferences()).toMatchObject({ microphoneOn: false, cameraOn: true });
  });
});
