/** The elements that show and sound the slots. They live as long as the session and outlast its peer connections. */

import { Store } from "@/session/store";
import type { Peer, Slot } from "./peer";

export class SlotMedia {
  private readonly videos = new Map<string, HTMLVideoElement>();
  private readonly audios = new Map<string, HTMLAudioElement>();
  private receivers: Readonly<Record<"audio" | "video", readonly Slot[]>> = { audio: [], video: [] };
  private speakerId = "";
  private firstFrame: (() => void) | undefined;
  /** Whether the browser refuses to play sound before a click. */
  readonly soundBlocked = new Store(false);

  /** Called once, at the first decoded remote frame. */
  onFirstFrame(listener: () => void): void {
    this.firstFrame = listener;
  }

  /**
   * Shows and sounds a peer's slots. Each element keeps its stream and only the stream's track changes, so that in Chromium the
   * last picture of a connection that was lost stays until the new one brings the next.
   */
  bind(peer: Peer): void {
    this.receivers = { audio: peer.slots("audio"), video: peer.slots("video") };
    for (const { mid, receiver } of this.receivers.audio) {
      this.play(this.audio(mid), receiver.track);
    }
    for (const { mid, receiver } of this.receivers.video) {
      const video = this.video(mid);
      this.play(video, receiver.track);
      this.watchFirstFrame(video);
    }
  }

  /** The one element of a video slot. */
  video(mid: string): HTMLVideoElement {
    let video = this.videos.get(mid);
    if (!video) {
      video = document.createElement("video");
      video.autoplay = true;
      video.playsInline = true;
      // Sound comes from the audio slots; a muted element may always play.
      video.muted = true;
      video.className = "slot-video";
      video.dataset.slot = mid;
      this.videos.set(mid, video);
    }
    return video;
  }

  slots(kind: "audio" | "video"): readonly Slot[] {
    return this.receivers[kind];
  }

  setSpeaker(deviceId: string): void {
    if (deviceId === this.speakerId) {
      return;
    }
    this.speakerId = deviceId;
    for (const audio of this.audios.values()) {
      setSink(audio, deviceId);
    }
  }

  /** To be called from a click. */
  unblockSound(): void {
    this.soundBlocked.set(false);
    for (const audio of this.audios.values()) {
      audio.play().catch(() => this.soundBlocked.set(true));
    }
  }

  close(): void {
    for (const element of [...this.videos.values(), ...this.audios.values()]) {
      element.srcObject = null;
      element.remove();
    }
  }

  private audio(mid: string): HTMLAudioElement {
    let audio = this.audios.get(mid);
    if (!audio) {
      audio = document.createElement("audio");
      audio.autoplay = true;
      audio.dataset.slot = mid;
      setSink(audio, this.speakerId);
      document.body.append(audio);
      this.audios.set(mid, audio);
    }
    return audio;
  }

  private play(element: HTMLMediaElement, track: MediaStreamTrack): void {
    if (element.srcObject instanceof MediaStream) {
      // The old one goes first: of two video tracks Firefox shows the older one, and nothing more after that has gone.
      const stream = element.srcObject;
      for (const old of stream.getTracks()) {
        stream.removeTrack(old);
      }
      stream.addTrack(track);
    } else {
      element.srcObject = new MediaStream([track]);
    }
    element.play().catch((error: unknown) => {
      if (element instanceof HTMLAudioElement && error instanceof Error && error.name === "NotAllowedError") {
        this.soundBlocked.set(true);
      }
    });
  }

  private watchFirstFrame(video: HTMLVideoElement): void {
    if (this.firstFrame && "requestVideoFrameCallback" in video) {
      video.requestVideoFrameCallback(() => {
        this.firstFrame?.();
        this.firstFrame = undefined;
      });
    }
  }
}

function setSink(audio: HTMLAudioElement, deviceId: string): void {
  if ("setSinkId" in audio) {
    // A loudspeaker that is gone leaves the system's own in use.
    audio.setSinkId(deviceId).catch(() => undefined);
  }
}
