/** One's own microphone, camera and screen: asked for once, switched, chosen, and said in words when they can't be had. */

import type { TrackSource } from "@/session/model";
import { Store } from "@/session/store";

/** Why a device gives nothing. */
export type DeviceProblem = "denied" | "missing" | "busy" | "failed";

export interface DeviceState {
  /** Whether the person wants it on. */
  readonly on: boolean;
  /** The live track; undefined while off or not to be had. */
  readonly track: MediaStreamTrack | undefined;
  readonly problem: DeviceProblem | undefined;
  /** `deviceId` of the chosen device; empty: the system's choice. */
  readonly deviceId: string;
}

export interface LocalMediaState {
  /** Whether the browser is being asked for permission now. */
  readonly asking: boolean;
  readonly microphone: DeviceState;
  readonly camera: DeviceState;
  readonly screen: MediaStreamTrack | undefined;
  readonly screenAudio: MediaStreamTrack | undefined;
  readonly devices: readonly MediaDeviceInfo[];
  /** `deviceId` of the loudspeaker; empty: the system's choice. */
  readonly speakerId: string;
  /** The device that was asked for last and could not be had. */
  readonly complaint: DeviceKind | undefined;
}

export type DeviceKind = "microphone" | "camera";

interface Preferences {
  microphone: string;
  camera: string;
  speaker: string;
  microphoneOn: boolean;
  cameraOn: boolean;
}

const PREFERENCES = "parley.devices";
const CAMERA: MediaTrackConstraints = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
const MICROPHONE: MediaTrackConstraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const SCREEN: DisplayMediaStreamOptions = {
  video: { width: { max: 1920 }, height: { max: 1080 }, frameRate: { ideal: 15, max: 30 } },
  audio: true,
};

/** Told when a source's track changes, so that whoever sends it can follow. */
export type TrackListener = (source: TrackSource, track: MediaStreamTrack | undefined) => void;

export class LocalMedia {
  readonly state: Store<LocalMediaState>;
  private readonly listeners = new Set<TrackListener>();
  private readonly onDeviceChange = () => void this.refreshDevices();
  private closed = false;

  constructor() {
    const { microphone, camera, speaker, microphoneOn, cameraOn } = readPreferences();
    this.state = new Store<LocalMediaState>({
      asking: false,
      microphone: { on: microphoneOn, track: undefined, problem: undefined, deviceId: microphone },
      camera: { on: cameraOn, track: undefined, problem: undefined, deviceId: camera },
      screen: undefined,
      screenAudio: undefined,
      devices: [],
      speakerId: speaker,
      complaint: undefined,
    });
    navigator.mediaDevices.addEventListener("devicechange", this.onDeviceChange);
  }

  onTrack(listener: TrackListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Asks for microphone and camera in one question; what can't be had is marked with its problem. */
  async start(): Promise<void> {
    this.state.update((state) => ({ ...state, asking: true }));
    await this.askForBoth();
    await this.refreshDevices();
    this.state.update((state) => ({ ...state, asking: false }));
    if (!this.state.get().camera.on) {
      this.dropTrack("camera");
    }
    this.applyMute();
  }

  private async askForBoth(): Promise<void> {
    const { microphone, camera } = this.state.get();
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: constraints("microphone", microphone.deviceId),
        video: constraints("camera", camera.deviceId),
      });
      this.adopt("microphone", stream.getAudioTracks()[0]);
      this.adopt("camera", stream.getVideoTracks()[0]);
    } catch (error) {
      const problem = problemOf(error);
      if (problem === "denied") {
        this.patch("microphone", { problem });
        this.patch("camera", { problem });
        return;
      }
      // One of the two is missing or busy: the other one is still wanted.
      await this.acquire("microphone");
      await this.acquire("camera");
    }
  }

  /** Asks again after a refusal or when a device was plugged in. */
  async retry(): Promise<void> {
    this.patch("microphone", { problem: undefined });
    this.patch("camera", { problem: undefined });
    await this.start();
  }

  async setMicrophone(on: boolean): Promise<void> {
    this.patch("microphone", { on });
    this.savePreferences();
    this.applyMute();
    if (on && !this.state.get().microphone.track) {
      await this.want("microphone");
    }
  }

  /** Off lets go of the camera, so that its light goes out. */
  async setCamera(on: boolean): Promise<void> {
    this.patch("camera", { on });
    this.savePreferences();
    if (!on) {
      this.dropTrack("camera");
    } else if (!this.state.get().camera.track) {
      await this.want("camera");
    }
  }

  async choose(kind: DeviceKind, deviceId: string): Promise<void> {
    this.patch(kind, { deviceId });
    this.savePreferences();
    if (this.state.get()[kind].on || kind === "microphone") {
      this.state.get()[kind].track?.stop();
      await this.want(kind);
    }
  }

  /** The person has read what is wrong. */
  dismissComplaint(): void {
    this.state.update((state) => ({ ...state, complaint: undefined }));
  }

  chooseSpeaker(deviceId: string): void {
    this.state.update((state) => ({ ...state, speakerId: deviceId }));
    this.savePreferences();
  }

  /** Lets the person pick a screen, window or tab. False when they changed their mind. */
  async shareScreen(): Promise<boolean> {
    try {
      const stream = await navigator.mediaDevices.getDisplayMedia(SCREEN);
      const screen = stream.getVideoTracks()[0];
      const screenAudio = stream.getAudioTracks()[0];
      if (!screen) {
        return false;
      }
      screen.contentHint = "detail";
      screen.addEventListener("ended", () => this.stopScreen());
      this.state.update((state) => ({ ...state, screen, screenAudio }));
      this.tell("screen", screen);
      this.tell("screen-audio", screenAudio);
      return true;
    } catch {
      return false;
    }
  }

  stopScreen(): void {
    const { screen, screenAudio } = this.state.get();
    if (screen) {
      screen.stop();
      screenAudio?.stop();
      this.state.update((state) => ({ ...state, screen: undefined, screenAudio: undefined }));
      this.tell("screen", undefined);
      this.tell("screen-audio", undefined);
    }
  }

  /** What is sent now from a source; a muted microphone's track is there but silent. */
  track(source: TrackSource): MediaStreamTrack | undefined {
    const state = this.state.get();
    switch (source) {
      case "microphone":
        return state.microphone.track;
      case "camera":
        return state.camera.track;
      case "screen":
        return state.screen;
      case "screen-audio":
        return state.screenAudio;
    }
  }

  /** Whether a source counts as muted for the others. */
  muted(source: TrackSource): boolean {
    const track = this.track(source);
    return !track || (source === "microphone" && !this.state.get().microphone.on);
  }

  /** Lets go of everything. */
  close(): void {
    this.closed = true;
    navigator.mediaDevices.removeEventListener("devicechange", this.onDeviceChange);
    const { microphone, camera, screen, screenAudio } = this.state.get();
    for (const track of [microphone.track, camera.track, screen, screenAudio]) {
      track?.stop();
    }
  }

  private async want(kind: DeviceKind): Promise<void> {
    await this.acquire(kind);
    await this.refreshDevices();
    this.state.update((state) => ({ ...state, complaint: state[kind].problem && kind }));
  }

  private async acquire(kind: DeviceKind): Promise<void> {
    const wanted = constraints(kind, this.state.get()[kind].deviceId);
    try {
      const asked = kind === "microphone" ? { audio: wanted } : { video: wanted };
      const [track] = (await navigator.mediaDevices.getUserMedia(asked)).getTracks();
      this.adopt(kind, track);
    } catch (error) {
      this.patch(kind, { track: undefined, problem: problemOf(error) });
      this.tell(kind, undefined);
    }
  }

  private adopt(kind: DeviceKind, track: MediaStreamTrack | undefined): void {
    if (this.closed || !track) {
      track?.stop();
      return;
    }
    track.contentHint = kind === "camera" ? "motion" : "speech";
    track.addEventListener("ended", () => {
      // The device was unplugged or taken away; our own stop() fires no event.
      this.patch(kind, { track: undefined, problem: "missing" });
      this.tell(kind, undefined);
    });
    this.patch(kind, { track, problem: undefined });
    this.applyMute();
    this.tell(kind, track);
  }

  private dropTrack(kind: DeviceKind): void {
    this.state.get()[kind].track?.stop();
    this.patch(kind, { track: undefined });
    this.tell(kind, undefined);
  }

  private applyMute(): void {
    const { on, track } = this.state.get().microphone;
    if (track) {
      track.enabled = on;
    }
  }

  private async refreshDevices(): Promise<void> {
    const devices = await navigator.mediaDevices.enumerateDevices();
    this.state.update((state) => ({ ...state, devices }));
  }

  private patch(kind: DeviceKind, change: Partial<DeviceState>): void {
    this.state.update((state) => ({ ...state, [kind]: { ...state[kind], ...change } }));
  }

  private tell(source: TrackSource, track: MediaStreamTrack | undefined): void {
    for (const listener of this.listeners) {
      listener(source, track);
    }
  }

  private savePreferences(): void {
    const { microphone, camera, speakerId } = this.state.get();
    const preferences: Preferences = {
      microphone: microphone.deviceId,
      camera: camera.deviceId,
      speaker: speakerId,
      microphoneOn: microphone.on,
      cameraOn: camera.on,
    };
    localStorage.setItem(PREFERENCES, JSON.stringify(preferences));
  }
}

function readPreferences(): Preferences {
  const defaults: Preferences = { microphone: "", camera: "", speaker: "", microphoneOn: true, cameraOn: true };
  try {
    return { ...defaults, ...JSON.parse(localStorage.getItem(PREFERENCES) ?? "{}") };
  } catch {
    return defaults;
  }
}

function constraints(kind: DeviceKind, deviceId: string): MediaTrackConstraints {
  const base = kind === "microphone" ? MICROPHONE : CAMERA;
  // `ideal`, not `exact`: a device that was unplugged since must not keep anybody out.
  return deviceId ? { ...base, deviceId: { ideal: deviceId } } : base;
}

/** The problem behind a DOMException of getUserMedia. */
export function problemOf(error: unknown): DeviceProblem {
  switch (error instanceof Error ? error.name : "") {
    case "NotAllowedError":
    case "SecurityError":
      return "denied";
    case "NotFoundError":
    case "OverconstrainedError":
      return "missing";
    case "NotReadableError":
    case "AbortError":
      return "busy";
    default:
      return "failed";
  }
}

/** Whether a device is to be shown as on: wanted, and not known to be out of reach. */
export function isOn({ on, problem }: DeviceState): boolean {
  return on && !problem;
}
