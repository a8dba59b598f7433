/** One trace of a join, from the click to the first picture of somebody else, sent as OTLP/HTTP JSON when it is complete. */

interface Span {
  readonly id: string;
  readonly parent: string;
  readonly name: string;
  /** `SPAN_KIND_INTERNAL` = 1, `SPAN_KIND_CLIENT` = 3. */
  readonly kind: 1 | 3;
  readonly start: number;
  end: number;
}

const hex = (bytes: number): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** The next step of a join that has been reached. */
export type Step = "answer" | "connected" | "first_frame";

/** The span that ends with each step. */
const SPAN_NAMES: Readonly<Record<Step, string>> = {
  answer: "parley.signaling.v1.SignalingService/JoinMeeting",
  connected: "connect media",
  first_frame: "first frame",
};

export class JoinTrace {
  private readonly traceId = hex(16);
  private readonly root: Span;
  private readonly spans: Span[] = [];
  private readonly call = hex(8);
  private last: number;
  private sent = false;

  /** To be made at the click. */
  constructor(private readonly send: (body: string) => void = post) {
    this.last = performance.now();
    performance.mark("parley.join.click");
    this.root = { id: hex(8), parent: "", name: "join", kind: 1, start: this.last, end: this.last };
  }

  /** W3C trace context for the calls of the join. */
  get traceparent(): string {
    return `00-${this.traceId}-${this.call}-01`;
  }

  reach(step: Step): void {
    if (this.sent || this.spans.some(({ name }) => name === SPAN_NAMES[step])) {
      return;
    }
    const end = performance.now();
    performance.mark(`parley.join.${step}`);
    this.spans.push({
      id: step === "answer" ? this.call : hex(8),
      parent: this.root.id,
      name: SPAN_NAMES[step],
      kind: step === "answer" ? 3 : 1,
      start: this.last,
      end,
    });
    this.last = end;
    this.root.end = end;
  }

  /** Sends the spans; later steps are not recorded. */
  finish(): void {
    if (!this.sent) {
      this.sent = true;
      this.send(JSON.stringify(this.export()));
    }
  }

  private export(): object {
    const attributes = [{ key: "service.name", value: { stringValue: "parley-web" } }];
    const spans = [this.root, ...this.spans].map((span) => ({
      traceId: this.traceId,
      spanId: span.id,
      ...(span.parent && { parentSpanId: span.parent }),
      name: span.name,
      kind: span.kind,
      startTimeUnixNano: nanoseconds(span.start),
      endTimeUnixNano: nanoseconds(span.end),
      status: {},
    }));
    return { resourceSpans: [{ resource: { attributes }, scopeSpans: [{ scope: { name: "parley-web" }, spans }] }] };
  }
}

function nanoseconds(time: number): string {
  return String(BigInt(Math.round((performance.timeOrigin + time) * 1000)) * 1000n);
}

/** Telemetry must never disturb: failures are nobody's business. */
function post(body: string): void {
  const headers = { "content-type": "application/json" };
  fetch("/v1/traces", { method: "POST", headers, body, keepalive: true }).catch(() => undefined);
}
