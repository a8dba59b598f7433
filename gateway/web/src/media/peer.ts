/** One RTCPeerConnection of the shape every client of Parley offers: tracks to send, then slots to receive on. */

import type { MediaAnswer, MediaOffer, SlotRequest, Track, TrackSource } from "@/session/model";
import type { LocalMedia } from "./local_media";

export const AUDIO_SLOTS = 3;
export const VIDEO_SLOTS = 9;

/** What is sent, in the order of the m-lines. The screen's line is there from the start, so that sharing needs no new offer. */
const SENDING: readonly { source: TrackSource; kind: "audio" | "video"; encoding: RTCRtpEncodingParameters }[] = [
  { source: "microphone", kind: "audio", encoding: { maxBitrate: 40_000, networkPriority: "high", priority: "high" } },
  { source: "camera", kind: "video", encoding: { maxBitrate: 1_700_000 } },
  { source: "screen", kind: "video", encoding: { maxBitrate: 2_500_000 } },
  { source: "screen-audio", kind: "audio", encoding: { maxBitrate: 64_000 } },
];

/** A receiving m-line. */
export interface Slot {
  readonly mid: string;
  readonly receiver: RTCRtpReceiver;
}

interface Sending {
  readonly source: TrackSource;
  readonly kind: "audio" | "video";
  readonly transceiver: RTCRtpTransceiver;
}

export class Peer {
  private readonly connection: RTCPeerConnection;
  private readonly sending: readonly Sending[];
  private readonly receiving: readonly RTCRtpTransceiver[];
  private readonly stopFollowing: () => void;
  private sdp = "";

  /**
   * Makes the offer ahead of the join; `offer()` is ready when the promise resolves. `iceServers` are those of an earlier answer:
   * they are asked for relayed addresses while the offer is made, so the first connection goes without.
   */
  static async prepare(local: LocalMedia, iceServers: readonly RTCIceServer[] = []): Promise<Peer> {
    const peer = new Peer(local, iceServers);
    const offer = await peer.connection.createOffer();
    await peer.connection.setLocalDescription(offer);
    peer.sdp = offer.sdp ?? "";
    return peer;
  }

  private constructor(
    private readonly local: LocalMedia,
    iceServers: readonly RTCIceServer[],
  ) {
    this.connection = new RTCPeerConnection({
      bundlePolicy: "max-bundle",
      rtcpMuxPolicy: "require",
      iceServers: [...iceServers],
    });
    this.sending = SENDING.map(({ source, kind, encoding }) => {
      const init: RTCRtpTransceiverInit = { direction: "sendonly", sendEncodings: [encoding] };
      const transceiver = this.connection.addTransceiver(local.track(source) ?? kind, init);
      return { source, kind, transceiver };
    });
    const receive = (kind: "audio" | "video") => this.connection.addTransceiver(kind, { direction: "recvonly" });
    this.receiving = [
      ...Array.from({ length: AUDIO_SLOTS }, () => receive("audio")),
      ...Array.from({ length: VIDEO_SLOTS }, () => receive("video")),
    ];
    this.stopFollowing = local.onTrack((source, track) => {
      const sender = this.sending.find((sending) => sending.source === source)?.transceiver.sender;
      sender?.replaceTrack(track ?? null).catch(() => undefined);
    });
  }

  /** The offer with the tracks' mute states of this moment. */
  offer(slots: readonly SlotRequest[] = []): MediaOffer {
    return { sdp: this.sdp, tracks: this.tracks(), slots };
  }

  tracks(): Track[] {
    return this.sending.map(({ source, kind, transceiver }) => ({
      mid: transceiver.mid ?? "",
      kind,
      source,
      muted: this.local.muted(source),
    }));
  }

  slots(kind: "audio" | "video"): Slot[] {
    return this.receiving
      .filter(({ receiver }) => receiver.track.kind === kind)
      .map(({ mid, receiver }) => ({ mid: mid ?? "", receiver }));
  }

  async accept(answer: MediaAnswer): Promise<void> {
    await this.connection.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  }

  get state(): RTCPeerConnectionState {
    return this.connection.connectionState;
  }

  onState(listener: (state: RTCPeerConnectionState) => void): void {
    this.connection.addEventListener("connectionstatechange", () => listener(this.connection.connectionState));
  }

  close(): void {
    this.stopFollowing();
    this.connection.close();
  }
}
