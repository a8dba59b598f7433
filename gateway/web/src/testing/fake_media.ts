/** A browser's devices for tests: every question waits until the test answers it. */

import type { DeviceKind, MediaAccess } from "@/media/media_access";

export class FakeTrack {
  readyState: "live" | "ended" = "live";
  enabled = true;
  contentHint = "";
  private readonly listeners: (() => void)[] = [];

  constructor(
    readonly kind: "audio" | "video",
    readonly deviceId: string,
  ) {}

  get label(): string {
    return this.deviceId;
  }
  getSettings() {
    return { deviceId: this.deviceId };
  }
  stop() {
    this.readyState = "ended";
  }
  addEventListener(_: "ended", listener: () => void) {
    this.listeners.push(listener);
  }
  /** Ends it as unplugging does. */
  unplug() {
    this.readyState = "ended";
    this.sayEnded();
  }
  /** Fires the event, late or not. */
  sayEnded() {
    for (const listener of this.listeners) {
      listener();
    }
  }
}

interface Question {
  readonly wants: readonly ("audio" | "video")[];
  readonly devices: Readonly<Record<"audio" | "video", string>>;
  readonly resolve: (stream: MediaStream) => void;
  readonly reject: (error: Error) => void;
}

export class FakeAccess implements MediaAccess {
  /** All that was ever given. */
  readonly tracks: FakeTrack[] = [];
  readonly questions: Question[] = [];
  /** How many questions there were in all. */
  asked = 0;
  permissions: Partial<Record<DeviceKind, PermissionState>> = {};
  list: { kind: MediaDeviceKind; deviceId: string }[] = [];
  private readonly onChange = new Set<() => void>();

  getUserMedia({ audio, video }: MediaStreamConstraints) {
    const id = (wanted: MediaStreamConstraints["audio"]) =>
      ((wanted as MediaTrackConstraints | undefined)?.deviceId as { ideal: string } | undefined)?.ideal ?? "";
    const wants = [...(audio ? ["audio" as const] : []), ...(video ? ["video" as const] : [])];
    return this.question(wants, { audio: id(audio), video: id(video) });
  }
  getDisplayMedia() {
    return this.question(["video", "audio"], { audio: "screen", video: "screen" });
  }
  async permission(kind: DeviceKind) {
    return this.permissions[kind];
  }
  async devices() {
    return this.list as MediaDeviceInfo[];
  }
  onDeviceChange(listener: () => void) {
    this.onChange.add(listener);
    return () => this.onChange.delete(listener);
  }

  plug(list: FakeAccess["list"]) {
    this.list = list;
    for (const listener of this.onChange) {
      listener();
    }
  }
  /** Answers the oldest question with what it asks for. */
  allow() {
    const question = this.questions.shift();
    const tracks = question?.wants.map((kind) => new FakeTrack(kind, question.devices[kind])) ?? [];
    this.tracks.push(...tracks);
    const of = (kind: string) => tracks.filter((track) => track.kind === kind);
    const stream = { getTracks: () => tracks, getAudioTracks: () => of("audio"), getVideoTracks: () => of("video") };
    question?.resolve(stream as unknown as MediaStream);
  }
  /** Answers the oldest question with an error of getUserMedia. */
  refuse(name = "NotAllowedError") {
    this.questions.shift()?.reject(Object.assign(new Error(name), { name }));
  }
  live(kind: "audio" | "video"): FakeTrack[] {
    return this.tracks.filter((track) => track.kind === kind && track.readyState === "live");
  }

  private question(wants: Question["wants"], devices: Question["devices"]): Promise<MediaStream> {
    this.asked += 1;
    return new Promise((resolve, reject) => this.questions.push({ wants, devices, resolve, reject }));
  }
}
