import { expect, test } from "vitest";
import { offered, withCodecs, withRepeatedSound } from "./codecs";

/** What Chromium 156 lists, shortened to what matters. */
const VIDEO = [
  { mimeType: "video/VP8" },
  { mimeType: "video/rtx" },
  { mimeType: "video/VP9", sdpFmtpLine: "profile-id=2" },
  { mimeType: "video/VP9", sdpFmtpLine: "profile-id=0" },
  { mimeType: "video/H264", sdpFmtpLine: "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f" },
  { mimeType: "video/H264", sdpFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f" },
  { mimeType: "video/H264", sdpFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f" },
  { mimeType: "video/AV1", sdpFmtpLine: "level-idx=5;profile=1;tier=0" },
  { mimeType: "video/AV1", sdpFmtpLine: "level-idx=5;profile=0;tier=0" },
  { mimeType: "video/red" },
  { mimeType: "video/ulpfec" },
];

test("one profile of each video codec is offered, VP8 first, with retransmission", () => {
  expect(offered("video", VIDEO)).toEqual([VIDEO[0], VIDEO[3], VIDEO[6], VIDEO[8], VIDEO[1]]);
});

test("what a browser does not have is left out", () => {
  expect(offered("video", VIDEO.slice(0, 2))).toEqual(VIDEO.slice(0, 2));
});

test("sound is Opus, with its redundancy", () => {
  const list = ["PCMU", "red", "telephone-event", "opus", "CN"].map((name) => ({ mimeType: `audio/${name}` }));
  expect(offered("audio", list).map(({ mimeType }) => mimeType)).toEqual(["audio/opus", "audio/red"]);
});

test("sound that is sent may be asked for again", () => {
  const sdp = (direction: string) =>
    `v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=${direction}\r\na=rtpmap:111 opus/48000/2\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=sendonly\r\na=rtpmap:96 VP8/90000\r\n`;
  const rtpmap = "a=rtpmap:111 opus/48000/2\r\n";
  expect(withRepeatedSound(sdp("sendonly"))).toBe(sdp("sendonly").replace(rtpmap, `${rtpmap}a=rtcp-fb:111 nack\r\n`));
  expect(withRepeatedSound(sdp("recvonly"))).toBe(sdp("recvonly"));
});

test("an answer takes one codec of a track, with its retransmission, and leaves the others as they are", () => {
  const codec = (number: number, name: string) =>
    `a=rtpmap:${number} ${name}/90000\r\na=rtcp-fb:${number} nack\r\na=rtpmap:${number + 1} rtx/90000\r\na=fmtp:${number + 1} apt=${number}\r\n`;
  const [vp8, h264] = [codec(96, "VP8"), codec(102, "H264")];
  const line = (mid: string, formats: string, ...codecs: string[]) =>
    `m=video 0 UDP/TLS/RTP/SAVPF ${formats}\r\na=mid:${mid}\r\n${codecs.join("")}a=recvonly\r\n`;
  const head = "v=0\r\ns=-\r\n";
  const answer = head + line("1", "96 97 102 103", vp8, h264) + line("2", "96 97 102 103", vp8, h264);
  const camera = head + line("1", "102 103", h264) + line("2", "96 97 102 103", vp8, h264);
  expect(withCodecs(answer, { "1": "h264", "2": "" })).toBe(camera);
  expect(withCodecs(answer, { "1": "AV1", "7": "H264" })).toBe(answer);
});
