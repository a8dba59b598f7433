/** One device, or one screen share, as a machine: the last wish wins, and there is never more than one live capture of it. */

/** Why a device gives nothing. */
export type DeviceProblem = "denied" | "missing" | "busy" | "failed";

/**
 * - `off`: nothing is wanted.
 * - `opening`: the browser is being asked, or will be once an earlier question is answered. `again`: it was live just before,
 *   and only the device changes.
 * - `live`: what was wanted is there.
 * - `failed`: it was refused; wanting it again asks again.
 * - `lost`: it was live and ended by itself: unplugged, or taken back in the browser's own bar.
 */
export type CaptureState =
  | { readonly kind: "off" }
  | { readonly kind: "opening"; readonly again: boolean }
  | { readonly kind: "live"; readonly tracks: readonly MediaStreamTrack[] }
  | { readonly kind: "failed"; readonly problem: DeviceProblem }
  | { readonly kind: "lost" };

export interface CaptureOptions {
  /** Asks the browser. What it gives to a question that is no longer of interest is stopped at once. */
  readonly open: (deviceId: string) => Promise<readonly MediaStreamTrack[]>;
  readonly onState: (state: CaptureState) => void;
}

export class Capture {
  private current: CaptureState = { kind: "off" };
  /** `deviceId` of what is wanted, empty for the system's choice; undefined: nothing is. */
  private wish: string | undefined;
  /** Whether a question to the browser is not answered yet. There is one at a time. */
  private asking = false;
  private closed = false;

  constructor(private readonly options: CaptureOptions) {}

  get state(): CaptureState {
    return this.current;
  }

  /** Wants this device, or nothing. To want what is live or on its way changes nothing. */
  want(deviceId: string | undefined): void {
    const { kind } = this.current;
    const unchanged = deviceId === this.wish && (kind === "live" || kind === "opening");
    if (this.closed || unchanged) {
      return;
    }
    this.wish = deviceId;
    const again = this.stop();
    if (deviceId === undefined) {
      this.become({ kind: "off" });
    } else {
      this.become({ kind: "opening", again });
      this.ask(deviceId);
    }
  }

  /** To be called when what is live no longer gives anything. */
  lose(): void {
    if (this.current.kind === "live") {
      this.stop();
      this.become({ kind: "lost" });
    }
  }

  /** Stops what is live, and later what is still on its way. */
  close(): void {
    this.closed = true;
    this.wish = undefined;
    this.stop();
    this.current = { kind: "off" };
  }

  private ask(deviceId: string): void {
    if (!this.asking) {
      this.asking = true;
      this.options.open(deviceId).then(
        (tracks) => this.answered(deviceId, tracks),
        (error) => this.answered(deviceId, [], problemOf(error)),
      );
    }
  }

  private answered(deviceId: string, tracks: readonly MediaStreamTrack[], problem: DeviceProblem = "missing"): void {
    this.asking = false;
    if (deviceId !== this.wish) {
      stopAll(tracks);
      if (this.wish !== undefined) {
        this.ask(this.wish);
      }
    } else if (tracks[0]?.readyState === "live") {
      this.hold(tracks[0], tracks);
    } else {
      stopAll(tracks);
      this.become({ kind: "failed", problem });
    }
  }

  private hold(main: MediaStreamTrack, tracks: readonly MediaStreamTrack[]): void {
    // Our own stop() fires no event. A predecessor's late one is none of ours.
    main.addEventListener("ended", () => {
      if (this.current.kind === "live" && this.current.tracks === tracks) {
        this.lose();
      }
    });
    this.become({ kind: "live", tracks });
  }

  /** Whether anything was live. */
  private stop(): boolean {
    const state = this.current;
    if (state.kind === "live") {
      stopAll(state.tracks);
    }
    return state.kind === "live" || (state.kind === "opening" && state.again);
  }

  private become(state: CaptureState): void {
    this.current = state;
    this.options.onState(state);
  }
}

function stopAll(tracks: readonly MediaStreamTrack[]): void {
  for (const track of tracks) {
    track.stop();
  }
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
