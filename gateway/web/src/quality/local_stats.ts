/** What the browser itself measures (W3C webrtc-stats): how it is connected and what it sends. */

/** Over what the media goes. */
export interface Way {
  readonly kind: "udp" | "tcp" | "relay";
  /** How the relay is reached, for `relay`. */
  readonly relayProtocol: string;
}

/** An encoding that is sent, with counters since the connection began. */
export interface SentEncoding {
  readonly mid: string;
  readonly rid: string;
  readonly active: boolean;
  /** Pixels; 0: nothing is encoded. */
  readonly height: number;
  readonly framesPerSecond: number;
  readonly bytes: number;
  /** What keeps it from being better: `none`, `cpu`, `bandwidth` or `other`. */
  readonly limit: string;
  /** Milliseconds. */
  readonly time: number;
}

export interface LocalStats {
  readonly way: Way | undefined;
  readonly sent: readonly SentEncoding[];
}

type Stats = Readonly<Record<string, unknown>>;

export function readStats(report: RTCStatsReport): LocalStats {
  const all = new Map<string, Stats>();
  report.forEach((stats: Stats, id) => {
    all.set(id, stats);
  });
  const sent = [...all.values()].filter(({ type, kind }) => type === "outbound-rtp" && kind === "video");
  return { way: wayOf(all), sent: sent.map(toEncoding) };
}

function wayOf(all: ReadonlyMap<string, Stats>): Way | undefined {
  const transport = [...all.values()].find(({ type }) => type === "transport");
  const pair = all.get(text(transport, "selectedCandidatePairId"));
  const local = all.get(text(pair, "localCandidateId"));
  if (!local) {
    return undefined;
  }
  const relayProtocol = text(local, "relayProtocol");
  const direct = text(local, "protocol") === "tcp" ? "tcp" : "udp";
  return { kind: text(local, "candidateType") === "relay" ? "relay" : direct, relayProtocol };
}

function toEncoding(stats: Stats): SentEncoding {
  return {
    mid: text(stats, "mid"),
    rid: text(stats, "rid"),
    active: stats.active !== false,
    height: amount(stats, "frameHeight"),
    framesPerSecond: amount(stats, "framesPerSecond"),
    bytes: amount(stats, "bytesSent"),
    limit: text(stats, "qualityLimitationReason") || "none",
    time: amount(stats, "timestamp"),
  };
}

function text(stats: Stats | undefined, name: string): string {
  const value = stats?.[name];
  return typeof value === "string" ? value : "";
}

function amount(stats: Stats, name: string): number {
  const value = stats[name];
  return typeof value === "number" ? value : 0;
}

/** Bits a second of an encoding between two looks; 0 before there are two. */
export function bitrate(before: LocalStats | undefined, now: SentEncoding): number {
  const then = before?.sent.find(({ mid, rid }) => mid === now.mid && rid === now.rid);
  const passed = then ? (now.time - then.time) / 1000 : 0;
  return then && passed > 0 ? Math.max(0, ((now.bytes - then.bytes) * 8) / passed) : 0;
}
