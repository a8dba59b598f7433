"""SDP offers as a browser makes them, without a browser: microphone, camera and screen to send, slots to receive."""

from collections.abc import Sequence
from typing import Final

from parley.meeting.v1 import track_pb2
from parley.signaling.v1 import signaling_service_pb2

AUDIO_SLOTS: Final = 3
VIDEO_SLOTS: Final = 9
_AUDIO_EXTENSIONS: Final = ("urn:ietf:params:rtp-hdrext:ssrc-audio-level", "urn:ietf:params:rtp-hdrext:sdes:mid")
_TRANSPORT_CC: Final = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
_FINGERPRINT: Final = ":".join(f"{byte:02X}" for byte in range(32))


def tracks() -> list[track_pb2.Track]:
    """Name what the offer's first three m-lines send; the screen is not shared yet."""
    audio, video = track_pb2.TRACK_KIND_AUDIO, track_pb2.TRACK_KIND_VIDEO
    return [
        track_pb2.Track(mid="0", kind=audio, source=track_pb2.TRACK_SOURCE_MICROPHONE),
        track_pb2.Track(mid="1", kind=video, source=track_pb2.TRACK_SOURCE_CAMERA),
        track_pb2.Track(mid="2", kind=video, source=track_pb2.TRACK_SOURCE_SCREEN, muted=True),
    ]


def media_offer() -> signaling_service_pb2.MediaOffer:
    """Make a whole offer with three tracks, three audio slots and nine video slots."""
    return signaling_service_pb2.MediaOffer(sdp=offer(), tracks=tracks())


def offer(
    *,
    audio_slots: int = AUDIO_SLOTS,
    video_slots: int = VIDEO_SLOTS,
    without: Sequence[str] = (),
    replace: Sequence[tuple[str, str]] = (),
) -> str:
    """Write an offer; `without` leaves out lines with these beginnings, `replace` swaps texts afterwards."""
    kinds = ["audio", "video", "video"] + ["audio"] * audio_slots + ["video"] * video_slots
    lines = [
        "v=0",
        "o=- 4611731400430051336 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE " + " ".join(str(mid) for mid in range(len(kinds))),
        "a=extmap-allow-mixed",
        "a=msid-semantic: WMS *",
    ]
    for mid, kind in enumerate(kinds):
        lines += _section(mid, kind, sending=mid < len(tracks()))
    text = "".join(line + "\r\n" for line in lines if not line.startswith(tuple(without)))
    for old, new in replace:
        text = text.replace(old, new)
    return text


def _section(mid: int, kind: str, *, sending: bool) -> list[str]:
    formats = _audio() if kind == "audio" else _video()
    numbers = [line.split(":")[1].split()[0] for line in formats if line.startswith("a=rtpmap")]
    section = [
        f"m={kind} 9 UDP/TLS/RTP/SAVPF {' '.join(numbers)}",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        "a=ice-ufrag:Pr0b",
        "a=ice-pwd:ZfL9gYBqEwcYMBmvUQLDGsvY",
        "a=ice-options:trickle",
        f"a=fingerprint:sha-256 {_FINGERPRINT}",
        "a=setup:actpass",
        f"a=mid:{mid}",
        *formats[: formats.index("")],
        "a=sendonly" if sending else "a=recvonly",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        *formats[formats.index("") + 1 :],
    ]
    if sending:
        section += [f"a=msid:- track{mid}", *_sources(mid, kind)]
    return section


def _audio() -> list[str]:
    extensions = [f"a=extmap:{number} {uri}" for number, uri in enumerate(_AUDIO_EXTENSIONS, start=1)]
    return [
        *extensions,
        f"a=extmap:3 {_TRANSPORT_CC}",
        "",
        "a=rtpmap:111 opus/48000/2",
        "a=rtcp-fb:111 transport-cc",
        "a=fmtp:111 minptime=10;useinbandfec=1",
    ]


def _video() -> list[str]:
    return [
        "a=extmap:2 urn:ietf:params:rtp-hdrext:sdes:mid",
        f"a=extmap:3 {_TRANSPORT_CC}",
        "",
        "a=rtpmap:96 VP8/90000",
        "a=rtcp-fb:96 goog-remb",
        "a=rtcp-fb:96 transport-cc",
        "a=rtcp-fb:96 ccm fir",
        "a=rtcp-fb:96 nack",
        "a=rtcp-fb:96 nack pli",
        "a=rtpmap:97 rtx/90000",
        "a=fmtp:97 apt=96",
    ]


def _sources(mid: int, kind: str) -> list[str]:
    media, repair = 1000 + 2 * mid, 1001 + 2 * mid
    if kind == "audio":
        return [f"a=ssrc:{media} cname:probe"]
    return [f"a=ssrc-group:FID {media} {repair}", f"a=ssrc:{media} cname:probe", f"a=ssrc:{repair} cname:probe"]
