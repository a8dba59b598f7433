/** One's own microphone, camera and screen: switched, chosen, recovered when lost, and said in words when they can't be had. */

import type { TrackSource } from "@/session/model";
import { Store } from "@/session/store";
import { Capture, type CaptureState, type DeviceProblem } from "./capture";
import { type DevicePreferences, readPreferences, savePreferences } from "./device_preferences";
import { DeviceQuestion } from "./device_question";
import { browserAccess, type DeviceKind, type MediaAccess } from "./media_access";

export interface DeviceState {
  /** Whether the person wants it on. */
  readonly on: boolean;
  /** The live track; undefined while off or not to be had. */
  readonly track: MediaStreamTrack | undefined;
  /** Whether the browser is being asked for it. */
  readonly opening: boolean;
  readonly problem: DeviceProblem | undefined;
  /** `deviceId` of the chosen device; empty: the system's choice. */
  readonly deviceId: string;
}

/** Something about a device that a person should hear of: `lost` it was unplugged, `replaced` by the system's choice. */
export interface Complaint {
  readonly device: DeviceKind;
  readonly problem: DeviceProblem | "lost" | "replaced";
}

export interface LocalMediaState {
  readonly microphone: DeviceState;
  readonly camera: DeviceState;
  readonly screen: MediaStreamTrack | undefined;
  readonly screenAudio: MediaStreamTrack | undefined;
  readonly devices: readonly MediaDeviceInfo[];
  /** `deviceId` of the loudspeaker; empty: the system's choice. */
  readonly speakerId: string;
  /** The latest that nobody has acted on. */
  readonly complaint: Complaint | undefined;
}

/** Told when a source's track changes, so that whoever sends it can follow. */
export type TrackListener = (source: TrackSource, track: MediaStreamTrack | undefined) => void;

export interface LocalMediaOptions {
  /** Whether the microphone begins muted, whatever the person prefers. */
  readonly muted?: boolean;
  readonly access?: MediaAccess;
}

const KINDS = ["microphone", "camera"] as const;
const LISTED_AS = { microphone: "audioinput", camera: "videoinput" } as const;

export class LocalMedia {
  readonly state: Store<LocalMediaState>;
  private readonly listeners = new Set<TrackListener>();
  private readonly access: MediaAccess;
  private readonly captures: Readonly<Record<DeviceKind | "screen", Capture>>;
  private readonly stopFollowing: () => void;
  private preferences: DevicePreferences = readPreferences();
  /** Devices that were lost and are being replaced by the system's choice. */
  private readonly recovering = new Set<DeviceKind>();
  /** Devices that may be replaced by themselves: once, until something is plugged or the person acts. A broken driver can't make a loop. */
  private readonly replaceable = new Set<DeviceKind>(KINDS);

  constructor({ muted = false, access = browserAccess }: LocalMediaOptions = {}) {
    this.access = access;
    const { microphone, camera, speaker, microphoneOn, cameraOn } = this.preferences;
    const idle = { track: undefined, opening: false, problem: undefined };
    this.state = new Store<LocalMediaState>({
      microphone: { ...idle, on: microphoneOn && !muted, deviceId: microphone },
      camera: { ...idle, on: cameraOn, deviceId: camera },
      screen: undefined,
      screenAudio: undefined,
      devices: [],
      speakerId: speaker,
      complaint: undefined,
    });
    const question = new DeviceQuestion(access);
    const device = (kind: DeviceKind) =>
      new Capture({ open: (id) => question.ask(kind, id), onState: (state) => this.deviceBecame(kind, state) });
    this.captures = {
      microphone: device("microphone"),
      camera: device("camera"),
      screen: new Capture({ open: () => this.openScreen(), onState: (state) => this.screenBecame(state) }),
    };
    this.stopFollowing = access.onDeviceChange(() => void this.devicesChanged());
  }

  onTrack(listener: TrackListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Asks for what is wanted: the microphone, muted or not, and a camera that is on; in one question. Asks again after a refusal. */
  start(): void {
    for (const kind of KINDS) {
      this.open(kind);
    }
    void this.refreshDevices();
  }

  /** A muted microphone stays open, so that to unmute it takes no time. */
  setMicrophone(on: boolean): void {
    this.switched("microphone", on);
    this.applyMute();
    if (on) {
      this.open("microphone");
    }
  }

  /** Off lets go of the camera, so that its light goes out. */
  setCamera(on: boolean): void {
    this.switched("camera", on);
    if (on) {
      this.open("camera");
    } else {
      this.captures.camera.want(undefined);
    }
  }

  choose(kind: DeviceKind, deviceId: string): void {
    this.acted(kind);
    this.patch(kind, { deviceId });
    this.remember({ [kind]: deviceId });
    this.open(kind);
  }

  /** The person has read what is wrong. */
  dismissComplaint(): void {
    this.state.update((state) => ({ ...state, complaint: undefined }));
  }

  chooseSpeaker(deviceId: string): void {
    this.state.update((state) => ({ ...state, speakerId: deviceId }));
    this.remember({ speaker: deviceId });
  }

  /** Lets the person pick a screen, window or tab; they may change their mind. To be called from a click. */
  shareScreen(): void {
    this.captures.screen.want("");
  }

  stopScreen(): void {
    this.captures.screen.want(undefined);
  }

  /** What is sent now from a source; a muted microphone's track is there but silent. */
  track(source: TrackSource): MediaStreamTrack | undefined {
    const { microphone, camera, screen, screenAudio } = this.state.get();
    return { microphone: microphone.track, camera: camera.track, screen, "screen-audio": screenAudio }[source];
  }

  /** Whether a source counts as muted for the others. One that changes its device doesn't: their picture stands until it goes on. */
  muted(source: TrackSource): boolean {
    if (source === "screen" || source === "screen-audio") {
      return !this.track(source);
    }
    const { state } = this.captures[source];
    const sends = state.kind === "live" || (state.kind === "opening" && state.again);
    return !sends || !this.state.get()[source].on;
  }

  /** Lets go of everything, of what is still being asked for too. */
  close(): void {
    this.stopFollowing();
    for (const capture of Object.values(this.captures)) {
      capture.close();
    }
  }

  private open(kind: DeviceKind): void {
    const { on, deviceId } = this.state.get()[kind];
    if (on || kind === "microphone") {
      this.captures[kind].want(deviceId);
    }
  }

  private switched(kind: DeviceKind, on: boolean): void {
    this.acted(kind);
    this.patch(kind, { on });
    this.remember(kind === "microphone" ? { microphoneOn: on } : { cameraOn: on });
  }

  /** The person has done something about the device: what was said of it is out of date. */
  private acted(kind: DeviceKind): void {
    this.recovering.delete(kind);
    this.replaceable.add(kind);
    this.complain(kind, undefined);
  }

  private deviceBecame(kind: DeviceKind, capture: CaptureState): void {
    const track = capture.kind === "live" ? capture.tracks[0] : undefined;
    this.patch(kind, { track, opening: capture.kind === "opening", problem: problemIn(capture) });
    this.applyMute();
    this.tell(kind, track);
    if (capture.kind === "lost") {
      this.replace(kind);
    } else if (capture.kind === "live") {
      this.complain(kind, this.recovering.delete(kind) ? "replaced" : undefined);
      void this.refreshDevices();
    } else if (capture.kind === "failed") {
      const gone = this.recovering.delete(kind) && capture.problem === "missing";
      this.complain(kind, gone ? "lost" : capture.problem);
    }
  }

  private replace(kind: DeviceKind): void {
    if (this.replaceable.delete(kind)) {
      this.recovering.add(kind);
      this.patch(kind, { deviceId: "" });
      this.captures[kind].want("");
    } else {
      this.complain(kind, "lost");
    }
  }

  private complain(device: DeviceKind, problem: Complaint["problem"] | undefined): void {
    this.state.update((state) => {
      const others = state.complaint?.device === device ? undefined : state.complaint;
      return { ...state, complaint: problem ? { device, problem } : others };
    });
  }

  private async openScreen(): Promise<readonly MediaStreamTrack[]> {
    const stream = await this.access.getDisplayMedia();
    for (const track of stream.getVideoTracks()) {
      track.contentHint = "detail";
    }
    return [...stream.getVideoTracks(), ...stream.getAudioTracks()];
  }

  private screenBecame(capture: CaptureState): void {
    const tracks = capture.kind === "live" ? capture.tracks : [];
    const [screen, screenAudio] = [tracks.find(isVideo), tracks.find((track) => !isVideo(track))];
    this.state.update((state) => ({ ...state, screen, screenAudio }));
    this.tell("screen", screen);
    this.tell("screen-audio", screenAudio);
    if (capture.kind === "failed" || capture.kind === "lost") {
      // They changed their mind, or stopped sharing in the browser's own bar.
      this.captures.screen.want(undefined);
    }
  }

  private applyMute(): void {
    const { on, track } = this.state.get().microphone;
    if (track) {
      track.enabled = on;
    }
  }

  /** Something was plugged in or out. */
  private async devicesChanged(): Promise<void> {
    const before = this.state.get().devices;
    await this.refreshDevices();
    const { devices } = this.state.get();
    for (const kind of KINDS) {
      this.replaceable.add(kind);
      const { track, problem } = this.state.get()[kind];
      const id = track?.getSettings().deviceId;
      const isHere = (list: readonly MediaDeviceInfo[]) => list.some(({ deviceId }) => deviceId === id);
      if (track && isHere(before) && !isHere(devices)) {
        this.captures[kind].lose();
      } else if (problem === "missing" && devices.some((device) => device.kind === LISTED_AS[kind])) {
        this.open(kind);
      }
    }
  }

  private async refreshDevices(): Promise<void> {
    const devices = await this.access.devices();
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

  private remember(change: Partial<DevicePreferences>): void {
    this.preferences = { ...this.preferences, ...change };
    savePreferences(this.preferences);
  }
}

const isVideo = ({ kind }: MediaStreamTrack): boolean => kind === "video";

function problemIn(capture: CaptureState): DeviceProblem | undefined {
  return capture.kind === "failed" ? capture.problem : capture.kind === "lost" ? "missing" : undefined;
}

/** Whether a device is to be shown as on: wanted, and not known to be out of reach. */
export function isOn({ on, problem }: DeviceState): boolean {
  return on && !problem;
}
