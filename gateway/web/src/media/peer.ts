/** One RTCPeerConnection of the shape every client of Parley offers: tracks to send, then slots to receive on. */

import type { MediaAnswer, MediaOffer, SlotRequest, Track, TrackSource } from "@/session/model";
import { type Channel, openChannel } from "./channels";
import { offered, withCodecs, withRepeatedSound } from "./codecs";
import { cameraEncodings, EncodingSwitch, layered } from "./encodings";
import type { LocalMedia } from "./local_media";

export const AUDIO_SLOTS = 3;
export const VIDEO_SLOTS = 9;

/** What is sent, in the order of the m-lines. The screen's line is there from the start, so that sharing needs no new offer. */
const SENDING: readonly { source: TrackSource; kind: "audio" | "video"; encodings: RTCRtpEncodingParameters[] }[] = [
  {
    source: "microphone",
    kind: "audio",
    encodings: [{ maxBitrate: 40_000, networkPriority: "high", priority: "high" }],
  },
  { source: "camera", kind: "video", encodings: cameraEncodings() },
  // One size: whoever is shown a screen wants to read it. Who cannot take all of it gets fewer frames.
  { source: "screen", kind: "video", encodings: [layered({ maxBitrate: 2_500_000 })] },
  { source: "screen-audio", kind: "audio", encodings: [{ maxBitrate: 64_000 }] },
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
  readonly encodings: EncodingSwitch;
}

export class Peer {
  /** Where people point on shared screens. */
  readonly pointer: Channel;
  private readonly connection: RTCPeerConnection;
  private readonly sending: readonly Sending[];
  private readonly receiving: readonly RTCRtpTransceiver[];
  private readonly stopFollowing: () => void;
  private sdp = "";
  private answer = "";
  private codecs: Readonly<Record<string, string>> = {};

  /**
   * Makes the offer ahead of the join; `offer()` is ready when the promise resolves. `iceServers` are those of an earlier answer:
   * they are asked for relayed addresses while the offer is made, so the first connection goes without.
   */
  static async prepare(local: LocalMedia, iceServers: readonly RTCIceServer[] = []): Promise<Peer> {
    const peer = new Peer(local, iceServers);
    await peer.describe();
    return peer;
  }

  private constructor(
    private readonly local: LocalMedia,
    iceServers: readonly RTCIceServer[],
  ) {
    this.connection = new RTCPeerConnection(configuration(iceServers));
    this.sending = SENDING.map(({ source, kind, encodings }) => {
      const init: RTCRtpTransceiverInit = { direction: "sendonly", sendEncodings: encodings };
      const transceiver = this.add(local.track(source) ?? kind, kind, init);
      return { source, kind, transceiver, encodings: new EncodingSwitch(transceiver.sender) };
    });
    const receive = (kind: "audio" | "video") => this.add(kind, kind, { direction: "recvonly" });
    this.receiving = [
      ...Array.from({ length: AUDIO_SLOTS }, () => receive("audio")),
      ...Array.from({ length: VIDEO_SLOTS }, () => receive("video")),
    ];
    this.pointer = openChannel(this.connection, "pointer");
    this.stopFollowing = local.onTrack((source, track) => void this.follow(source, track));
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
    this.answer = answer.sdp;
    await this.connection.setRemoteDescription({ type: "answer", sdp: withCodecs(answer.sdp, this.codecs) });
    for (const { encodings } of this.sending) {
      encodings.refresh();
    }
  }

  /** Makes an offer that finds a new way for the same streams (ICE restart, RFC 8445 section 9), by relays too. */
  async restart(iceServers: readonly RTCIceServer[]): Promise<void> {
    this.connection.setConfiguration(configuration(iceServers));
    this.connection.restartIce();
    await this.describe();
  }

  /**
   * Sends only the encodings that are needed: RTP stream ids by the track's mid; of a track that is not named all are. `codecs` names
   * what tracks are to be sent in, by mid; others are sent in what the answer names first.
   */
  send(needed: Readonly<Record<string, readonly string[]>>, codecs: Readonly<Record<string, string>>): void {
    for (const { transceiver, encodings } of this.sending) {
      encodings.need(needed[transceiver.mid ?? ""]);
    }
    const before = withCodecs(this.answer, this.codecs);
    this.codecs = codecs;
    if (withCodecs(this.answer, codecs) !== before) {
      void this.answerAgain();
    }
  }

  /**
   * Takes the answer anew, with the codecs that are wanted now. The node need not know: the numbers of all codecs stay agreed. During an
   * exchange with the node its answer brings them.
   */
  private async answerAgain(): Promise<void> {
    if (this.connection.signalingState !== "stable") {
      return;
    }
    try {
      await this.connection.setLocalDescription(await this.connection.createOffer());
      await this.connection.setRemoteDescription({ type: "answer", sdp: withCodecs(this.answer, this.codecs) });
      for (const { encodings } of this.sending) {
        encodings.refresh();
      }
    } catch {
      // The connection was closed, or an exchange with the node came first, whose answer brings the codecs.
    }
  }

  stats(): Promise<RTCStatsReport> {
    return this.connection.getStats();
  }

  async received(): Promise<number> {
    let bytes = 0;
    for (const report of (await this.connection.getStats()).values()) {
      bytes += report.type === "transport" ? report.bytesReceived : 0;
    }
    return bytes;
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

  private add(what: MediaStreamTrack | "audio" | "video", kind: "audio" | "video", init: RTCRtpTransceiverInit) {
    const transceiver = this.connection.addTransceiver(what, init);
    const available = RTCRtpReceiver.getCapabilities(kind)?.codecs ?? [];
    transceiver.setCodecPreferences(offered(kind, available));
    return transceiver;
  }

  private async describe(): Promise<void> {
    const offer = await this.connection.createOffer();
    await this.connection.setLocalDescription(offer);
    this.sdp = withRepeatedSound(offer.sdp ?? "");
  }

  private async follow(source: TrackSource, track: MediaStreamTrack | undefined): Promise<void> {
    const sending = this.sending.find((one) => one.source === source);
    try {
      await sending?.transceiver.sender.replaceTrack(track ?? null);
      // Another camera may have another height.
      sending?.encodings.refresh();
    } catch {
      // The connection was closed.
    }
  }
}

function configuration(iceServers: readonly RTCIceServer[]): RTCConfiguration {
  return { bundlePolicy: "max-bundle", rtcpMuxPolicy: "require", iceServers: [...iceServers] };
}
