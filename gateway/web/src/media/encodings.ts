/** Simulcast: which encodings of a track are sent and how large, from the camera's height and from what somebody needs. */

/** RTP stream ids of a camera's encodings, the smallest first: quarter, half and full. */
const RIDS = ["q", "h", "f"] as const;
type Rid = (typeof RIDS)[number];

/** Bits a second that are enough at each height for talking heads in VP8. */
const BITRATES = [
  { height: 180, bitrate: 150_000 },
  { height: 360, bitrate: 500_000 },
  { height: 720, bitrate: 1_700_000 },
  { height: 1080, bitrate: 3_000_000 },
] as const;
/**
 * How many encodings are worth sending of a picture with so many pixels. Chromium has the same steps (libwebrtc's simulcast formats):
 * it sends the first two of three of a smaller picture whatever is asked, so those must be the ones that count.
 */
const LEVELS = [
  { pixels: 960 * 540, levels: 3 },
  { pixels: 480 * 270, levels: 2 },
  { pixels: 0, levels: 1 },
] as const;

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A camera of this size is assumed before there is one. */
const USUAL: Size = { width: 1280, height: 720 };
/** Three temporal layers (W3C WebRTC-SVC), so that a receiver can be given half or a quarter of the frames. */
const TEMPORAL_LAYERS = "L1T3";

export interface PlannedEncoding {
  readonly rid: Rid;
  readonly active: boolean;
  readonly scaleResolutionDownBy: number;
  readonly maxBitrate: number;
}

/**
 * The encodings of a camera of this size. Of a small capture fewer are sent: one of 360 lines has no quarter worth sending, so `q` is
 * its half and `h` all of it. `needed` undefined: all are.
 */
export function planEncodings({ width, height }: Size, needed: readonly string[] | undefined): PlannedEncoding[] {
  const levels = LEVELS.find(({ pixels }) => width * height >= pixels)?.levels ?? 1;
  const sent = RIDS.slice(0, levels);
  // Whoever needs more than this camera has is served best by the best there is.
  const beyond = needed?.some((rid) => RIDS.indexOf(rid as Rid) >= levels);
  const active = sent.filter((rid, index) => !needed || needed.includes(rid) || (beyond && index === levels - 1));
  return RIDS.map((rid, index) => {
    const scale = 2 ** Math.max(0, levels - 1 - index);
    const entry = BITRATES.find((one) => one.height >= height / scale) ?? BITRATES[BITRATES.length - 1];
    const maxBitrate = entry?.bitrate ?? 0;
    return { rid, active: active.includes(rid), scaleResolutionDownBy: scale, maxBitrate };
  });
}

type Layered = RTCRtpEncodingParameters & { scalabilityMode?: string };

/** With temporal layers. */
export function layered(encoding: RTCRtpEncodingParameters): Layered {
  return { ...encoding, scalabilityMode: TEMPORAL_LAYERS };
}

/** What a camera's sender begins with, before its camera is known. */
export function cameraEncodings(): Layered[] {
  return planEncodings(USUAL, undefined).map(layered);
}

/** What is used of an RTCRtpSender. */
export interface EncodingSender {
  readonly track: MediaStreamTrack | null;
  getParameters(): RTCRtpSendParameters;
  setParameters(parameters: RTCRtpSendParameters): Promise<void>;
}

/** Keeps one sender's encodings as they are needed. Changes take turns, since parameters that were read are good for one change. */
export class EncodingSwitch {
  private needed: readonly string[] | undefined;
  private running = false;
  private again = false;

  constructor(private readonly sender: EncodingSender) {}

  /** Which RTP stream ids are needed; undefined: all. */
  need(rids: readonly string[] | undefined): void {
    this.needed = rids;
    this.refresh();
  }

  /** To be called when the track or the negotiated parameters changed. */
  refresh(): void {
    this.again = true;
    if (!this.running) {
      void this.run();
    }
  }

  private async run(): Promise<void> {
    this.running = true;
    while (this.again) {
      this.again = false;
      try {
        await this.apply();
      } catch {
        // The browser renegotiated in between or the connection is closed; whichever comes next refreshes.
      }
    }
    this.running = false;
  }

  private async apply(): Promise<void> {
    const parameters = this.sender.getParameters();
    if (parameters.encodings.length < 2) {
      return;
    }
    const { width = 0, height = 0 } = this.sender.track?.getSettings() ?? {};
    const plan = planEncodings(width && height ? { width, height } : USUAL, this.needed);
    let changed = false;
    for (const encoding of parameters.encodings) {
      const planned = plan.find(({ rid }) => rid === encoding.rid);
      if (planned && differs(encoding, planned)) {
        Object.assign(encoding, planned);
        changed = true;
      }
    }
    if (changed) {
      await this.sender.setParameters(parameters);
    }
  }
}

function differs(
  now: RTCRtpEncodingParameters,
  { active, scaleResolutionDownBy, maxBitrate }: PlannedEncoding,
): boolean {
  return now.active !== active || now.scaleResolutionDownBy !== scaleResolutionDownBy || now.maxBitrate !== maxBitrate;
}
