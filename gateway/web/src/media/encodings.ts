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
/** Below this many lines a picture is no use to anybody: a smaller encoding is not worth its packets. */
const MIN_HEIGHT = 120;
/** A camera of this height is assumed before there is one. */
const USUAL_HEIGHT = 720;
/** Three temporal layers (W3C WebRTC-SVC), so that a receiver can be given half or a quarter of the frames. */
export const TEMPORAL_LAYERS = "L1T3";

export interface PlannedEncoding {
  readonly rid: Rid;
  readonly active: boolean;
  readonly scaleResolutionDownBy: number;
  readonly maxBitrate: number;
}

/**
 * The encodings of a camera of `height` lines (0: there is none yet). Of a small capture fewer are sent: one of 360 lines has no
 * quarter worth sending, so `q` is its half and `h` all of it. `needed` undefined: all are.
 */
export function planEncodings(height: number, needed: readonly string[] | undefined): PlannedEncoding[] {
  const lines = height || USUAL_HEIGHT;
  const levels = lines / 4 >= MIN_HEIGHT ? 3 : lines / 2 >= MIN_HEIGHT ? 2 : 1;
  const sent = RIDS.slice(0, levels);
  // Whoever needs more than this camera has is served best by the best there is.
  const beyond = needed?.some((rid) => RIDS.indexOf(rid as Rid) >= levels);
  const active = sent.filter((rid, index) => !needed || needed.includes(rid) || (beyond && index === levels - 1));
  return RIDS.map((rid, index) => {
    const scale = 2 ** Math.max(0, levels - 1 - index);
    const entry = BITRATES.find((one) => one.height >= lines / scale) ?? BITRATES[BITRATES.length - 1];
    const maxBitrate = entry?.bitrate ?? 0;
    return { rid, active: active.includes(rid), scaleResolutionDownBy: scale, maxBitrate };
  });
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
    const plan = planEncodings(this.sender.track?.getSettings().height ?? 0, this.needed);
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
