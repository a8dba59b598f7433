/** Asks the browser for microphone and camera: for both in one question where both are wanted at the same moment. */

import { problemOf } from "./capture";
import type { DeviceKind, MediaAccess } from "./media_access";

const CAMERA: MediaTrackConstraints = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
const MICROPHONE: MediaTrackConstraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

interface Waiting {
  readonly deviceId: string;
  readonly resolve: (tracks: Promise<Tracks>) => void;
}

type Tracks = readonly MediaStreamTrack[];

export class DeviceQuestion {
  private waiting = new Map<DeviceKind, Waiting>();

  constructor(private readonly access: MediaAccess) {}

  /** The device's track. Rejects as getUserMedia does. A kind may be asked for again once it was answered. */
  ask(kind: DeviceKind, deviceId: string): Promise<Tracks> {
    return new Promise((resolve) => {
      if (this.waiting.size === 0) {
        queueMicrotask(() => this.send());
      }
      this.waiting.set(kind, { deviceId, resolve });
    });
  }

  private send(): void {
    const asked = this.waiting;
    this.waiting = new Map();
    const [microphone, camera] = [asked.get("microphone"), asked.get("camera")];
    if (microphone && camera) {
      this.both(microphone, camera);
    } else {
      microphone?.resolve(this.one("microphone", microphone.deviceId));
      camera?.resolve(this.one("camera", camera.deviceId));
    }
  }

  private both(microphone: Waiting, camera: Waiting): void {
    const audio = constraints("microphone", microphone.deviceId);
    const video = constraints("camera", camera.deviceId);
    const stream = this.access.getUserMedia({ audio, video });
    const part = (kind: DeviceKind, { deviceId }: Waiting) =>
      stream.then(
        (both) => hinted(kind, kind === "microphone" ? both.getAudioTracks() : both.getVideoTracks()),
        (error) => this.alone(kind, deviceId, error),
      );
    microphone.resolve(part("microphone", microphone));
    camera.resolve(part("camera", camera));
  }

  /** Asks for one of two that were refused together: the other may be what is denied, missing or busy. */
  private async alone(kind: DeviceKind, deviceId: string, refusal: unknown): Promise<Tracks> {
    if (problemOf(refusal) === "denied" && !(await this.mayBeGiven(kind))) {
      throw refusal;
    }
    return this.one(kind, deviceId);
  }

  /** Whether asking for one device alone can help without putting the question again that was just answered with no. */
  private async mayBeGiven(kind: DeviceKind): Promise<boolean> {
    const other = kind === "camera" ? "microphone" : "camera";
    const [own, others] = await Promise.all([this.access.permission(kind), this.access.permission(other)]);
    // With the other one denied for good, the question for both was never shown.
    return own === "prompt" ? others === "denied" : own !== "denied";
  }

  private async one(kind: DeviceKind, deviceId: string): Promise<Tracks> {
    const wanted = constraints(kind, deviceId);
    const stream = await this.access.getUserMedia(kind === "microphone" ? { audio: wanted } : { video: wanted });
    return hinted(kind, stream.getTracks());
  }
}

function hinted(kind: DeviceKind, tracks: MediaStreamTrack[]): Tracks {
  for (const track of tracks) {
    track.contentHint = kind === "camera" ? "motion" : "speech";
  }
  return tracks;
}

function constraints(kind: DeviceKind, deviceId: string): MediaTrackConstraints {
  const base = kind === "microphone" ? MICROPHONE : CAMERA;
  // `ideal`, not `exact`: a device that was unplugged since must not keep anybody out.
  return deviceId ? { ...base, deviceId: { ideal: deviceId } } : base;
}
