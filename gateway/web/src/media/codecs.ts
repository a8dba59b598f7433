/** Which codecs an offer names: with all that browsers list by default, an m-line takes 5 kB, and an offer has one for each slot. */

/** The one H.264 profile that every implementation has (RFC 7742): constrained baseline, packetization mode 1. */
const H264 = /profile-level-id=42e01f/i;
/** Profile 0 alone: 8 bits a sample. */
const VP9 = /profile-id=0/i;

type Codec = Pick<RTCRtpCodec, "mimeType" | "sdpFmtpLine">;

const VIDEO: readonly ((codec: Codec) => boolean)[] = [
  ({ mimeType }) => is(mimeType, "VP8"),
  ({ mimeType, sdpFmtpLine = "" }) => is(mimeType, "VP9") && VP9.test(sdpFmtpLine),
  ({ mimeType, sdpFmtpLine = "" }) =>
    is(mimeType, "H264") && H264.test(sdpFmtpLine) && sdpFmtpLine.includes("packetization-mode=1"),
  // Without a profile it is the main one; with a profile it has to be 0.
  ({ mimeType, sdpFmtpLine = "" }) => is(mimeType, "AV1") && !/(^|;)profile=[1-9]/.test(sdpFmtpLine),
  ({ mimeType }) => is(mimeType, "rtx"),
];

const AUDIO: readonly ((codec: Codec) => boolean)[] = [
  ({ mimeType }) => is(mimeType, "opus"),
  ({ mimeType }) => is(mimeType, "red"),
];

function is(mimeType: string, name: string): boolean {
  return mimeType.toLowerCase().endsWith(`/${name.toLowerCase()}`);
}

/** The codecs to offer of those that a browser has, in the order of preference; one of each kind. */
export function offered<T extends Codec>(kind: "audio" | "video", available: readonly T[]): T[] {
  const kinds = kind === "audio" ? AUDIO : VIDEO;
  return kinds.flatMap((matches) => available.find(matches) ?? []);
}

/** An answer that takes only one codec for each track that is named: names of codecs by mid. One that an m-line lacks changes nothing. */
export function withCodecs(answer: string, codecs: Readonly<Record<string, string>>): string {
  const sections = answer.split(/^(?=m=)/m);
  return sections.map((one) => withCodec(one, codecs[/^a=mid:(.*)\r$/m.exec(one)?.[1] ?? ""] ?? "")).join("");
}

function withCodec(section: string, name: string): string {
  const numbers = [...section.matchAll(/^a=rtpmap:(\d+) ([^/]+)\//gm)];
  const codec = numbers.find(([, , each = ""]) => each.toLowerCase() === name.toLowerCase())?.[1];
  if (!codec) {
    return section;
  }
  const repair = new RegExp(`^a=fmtp:(\\d+) apt=${codec}\\r$`, "m").exec(section)?.[1];
  const kept = repair ? [codec, repair] : [codec];
  return section
    .replace(/^(m=\S+ \S+ \S+).*(?=\r\n)/, `$1 ${kept.join(" ")}`)
    .replace(/^a=(?:rtpmap|fmtp|rtcp-fb):(\d+) .*\r\n/gm, (line, number) => (kept.includes(number) ? line : ""));
}

/**
 * An offer that says what browsers do without saying so: they send lost packets of sound again when they are asked (RFC 4585). It is
 * for the node alone; the browser's own description stays as it made it.
 */
export function withRepeatedSound(sdp: string): string {
  const isSound = (section: string) => section.startsWith("m=audio") && section.includes("\r\na=sendonly\r\n");
  const sections = sdp.split(/^(?=m=)/m);
  return sections
    .map((one) => (isSound(one) ? one.replace(/^a=rtpmap:(\d+) .*\r\n/gm, "$&a=rtcp-fb:$1 nack\r\n") : one))
    .join("");
}
