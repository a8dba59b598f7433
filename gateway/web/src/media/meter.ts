/** The level of one's own microphone. */

export class Meter {
  private readonly context = new AudioContext();
  private readonly analyser = this.context.createAnalyser();
  private readonly samples = new Float32Array(1024);
  private source: MediaStreamAudioSourceNode | undefined;

  constructor() {
    this.analyser.fftSize = this.samples.length;
  }

  /** Listens to a track; undefined: to nothing. */
  follow(track: MediaStreamTrack | undefined): void {
    this.source?.disconnect();
    this.source = track && this.context.createMediaStreamSource(new MediaStream([track]));
    this.source?.connect(this.analyser);
  }

  /** Root mean square of the last 20 ms, 0 to 1. */
  level(): number {
    if (!this.source) {
      return 0;
    }
    if (this.context.state === "suspended") {
      // Browsers start audio processing only after a gesture; by the first poll after it this succeeds.
      this.context.resume().catch(() => undefined);
    }
    this.analyser.getFloatTimeDomainData(this.samples);
    let sum = 0;
    for (const sample of this.samples) {
      sum += sample * sample;
    }
    return Math.sqrt(sum / this.samples.length);
  }

  close(): void {
    this.source?.disconnect();
    this.context.close().catch(() => undefined);
  }
}
