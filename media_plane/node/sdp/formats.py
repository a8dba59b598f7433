"""Payload formats and header extensions: what an m-line offers, and which of it the node forwards."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from media_plane.node.sdp.grammar import Attribute, Section

MediaKind = Literal["audio", "video"]

_PAYLOAD_TYPE: Final = re.compile(r"[0-9]{1,3}")
_MAX_PAYLOAD_TYPE: Final = 127
_NO_PAYLOAD_TYPE: Final = -1
_RTCP_PAYLOAD_TYPES: Final = range(64, 96)
"""Payload types that collide with RTCP packet types when both share a port (RFC 5761 section 4)."""
_RTPMAP: Final = re.compile(r"([0-9]{1,3}) ([A-Za-z0-9.+_-]{1,32})/([0-9]{1,6})(?:/([0-9]{1,2}))?")
_EXTMAP: Final = re.compile(
    r"([1-9][0-9]{0,3})(?:/(sendrecv|sendonly|recvonly|inactive))? ([\x21-\x7e]{1,256})(?: .*)?"
)
_MAX_ONE_BYTE_ID: Final = 14
"""Largest identifier of the one-byte form (RFC 8285 section 4.2), the only one that every peer understands."""

_H264_PROFILE_LEVEL_ID: Final = re.compile(r"[0-9A-Fa-f]{6}")
_PREFERENCE: Final = ("RED", "OPUS", "VP8", "VP9", "H264", "AV1")
"""The answer names formats in this order, and a client sends the first. Redundant audio comes before plain: with each
frame sent twice, the loss of one packet of ten costs one frame of a hundred."""

_DEPENDENCY_DESCRIPTOR: Final = (
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
)
_MID: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
_TRANSPORT_CC: Final = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
_ABS_SEND_TIME: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
EXTENSIONS: Final[Mapping[MediaKind, Mapping[str, str]]] = {
    "audio": {
        _MID: "mid",
        "urn:ietf:params:rtp-hdrext:ssrc-audio-level": "audio_level",
        _TRANSPORT_CC: "transport_cc",
        _ABS_SEND_TIME: "abs_send_time",
    },
    "video": {
        _MID: "mid",
        "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id": "rid",
        "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id": "repaired_rid",
        _TRANSPORT_CC: "transport_cc",
        _ABS_SEND_TIME: "abs_send_time",
        _DEPENDENCY_DESCRIPTOR: "dependency_descriptor",
        "urn:3gpp:video-orientation": "video_orientation",
        "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay": "playout_delay",
        "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00": "layers_allocation",
    },
}
"""The engine's name of each extension it reads or writes, by URI."""

FEEDBACK: Final[Mapping[MediaKind, tuple[str, ...]]] = {
    "audio": ("transport-cc", "nack"),
    "video": ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"),
}
"""The RTCP feedback that is agreed on where it is offered (RFC 4585, RFC 5104)."""


@dataclass(frozen=True, slots=True)
class Format:
    """A payload format of an offer that the node forwards.

    Attributes:
        payload_type: Its number in this offer.
        name: Encoding name of the rtpmap.
        clock_rate: In hertz.
        channels: Of audio; 1 for video.
        fmtp: Format parameters as offered.
        identity: Parameters that tell this format from others of the same name, in one spelling for all clients.
        feedback: The RTCP feedback both know.
        rtx_payload_type: The number of its retransmissions (RFC 4588), if offered.
    """

    payload_type: int
    name: str
    clock_rate: int
    channels: int
    fmtp: str
    identity: str
    feedback: tuple[str, ...]
    rtx_payload_type: int | None


@dataclass(frozen=True, slots=True)
class Extension:
    """A header extension of an offer that the engine knows."""

    name: str
    uri: str
    identifier: int
    direction: str | None


def payload_types(section: Section) -> tuple[int, ...]:
    """Return the payload types of an audio or video m-line, each once, without those that collide with RTCP."""
    numbers = (int(text) for text in section.formats if _PAYLOAD_TYPE.fullmatch(text))
    return tuple(dict.fromkeys(n for n in numbers if n <= _MAX_PAYLOAD_TYPE and n not in _RTCP_PAYLOAD_TYPES))


class FormatReader:
    """Reads the formats of an offer's sections; the slots of an offer say the same of them, so it is read once."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], tuple[Format, ...]] = {}

    def read(self, section: Section, kind: MediaKind) -> tuple[Format, ...]:
        """Return the formats of a section that the node forwards, the most preferred first.

        An rtpmap, fmtp or rtcp-fb that is malformed or belongs to no payload type is passed over: clients that take
        codecs out of an offer leave such lines behind.
        """
        said = [[each.value for each in section.all(name)] for name in ("rtpmap", "fmtp", "rtcp-fb")]
        key = (kind, section.formats, *(tuple(values) for values in said))
        formats = self._known.get(key)
        if formats is None:
            formats = self._known[key] = _read_formats(section, kind)
        return formats


def _read_formats(section: Section, kind: MediaKind) -> tuple[Format, ...]:
    offered = payload_types(section)
    maps = _rtpmaps(section, offered)
    parameters = _by_payload_type(section, "fmtp")
    repairs = _repairs(maps, parameters)
    feedback = _feedback(section, kind)
    formats = []
    for number in offered:
        name, clock_rate, channels = maps.get(number, ("", 0, 1))
        fmtp = parameters.get(number, "")
        identity = _redundant(number, maps, fmtp) or _identity(kind, name, clock_rate, channels, fmtp)
        if identity is not None:
            known = tuple(each for each in FEEDBACK[kind] if each in feedback.get(number, feedback.get(None, ())))
            formats.append(Format(number, name, clock_rate, channels, fmtp, identity, known, repairs.get(number)))
    return tuple(sorted(formats, key=_preference))


def read_identifiers(section: Section) -> dict[int, tuple[str, str | None]]:
    """Return URI and direction of each header extension of a section by its identifier.

    Malformed lines are passed over, and so is an identifier or URI that comes again.
    """
    found: dict[int, tuple[str, str | None]] = {}
    uris: set[str] = set()
    for attribute in section.all("extmap"):
        match = _EXTMAP.fullmatch(attribute.value)
        if match is not None and match[2] != "inactive" and int(match[1]) not in found and match[3] not in uris:
            uris.add(match[3])
            found[int(match[1])] = (match[3], match[2])
    return found


def known_extensions(identifiers: Mapping[int, tuple[str, str | None]], kind: MediaKind) -> tuple[Extension, ...]:
    """Return those that the engine knows on an m-line of this kind."""
    known = EXTENSIONS[kind]
    return tuple(
        Extension(known[uri], uri, number, direction)
        for number, (uri, direction) in identifiers.items()
        if uri in known and number <= _MAX_ONE_BYTE_ID
    )


def parse_fmtp(fmtp: str) -> dict[str, str]:
    """Return format parameters by lower-case name."""
    pairs = (part.strip().partition("=") for part in fmtp.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name}


def _rtpmaps(section: Section, offered: tuple[int, ...]) -> dict[int, tuple[str, int, int]]:
    maps: dict[int, tuple[str, int, int]] = {}
    for attribute in section.all("rtpmap"):
        match = _RTPMAP.fullmatch(attribute.value)
        if match is not None and int(match[1]) in offered:
            maps.setdefault(int(match[1]), (match[2], int(match[3]), int(match[4] or 1)))
    return maps


def _by_payload_type(section: Section, attribute_name: str) -> dict[int | None, str]:
    values: dict[int | None, str] = {}
    for attribute in section.all(attribute_name):
        number, value = _numbered(attribute)
        values.setdefault(number, value)
    return values


def _numbered(attribute: Attribute) -> tuple[int | None, str]:
    """Split `<payload type> <value>`; the payload type of `*`, which stands for all, is None."""
    number, _, value = attribute.value.partition(" ")
    if number == "*":
        return None, value.strip()
    return int(number) if _PAYLOAD_TYPE.fullmatch(number) else _NO_PAYLOAD_TYPE, value.strip()


def _repairs(maps: Mapping[int, tuple[str, int, int]], parameters: Mapping[int | None, str]) -> dict[int, int]:
    """Return the rtx payload type of each that has one; an rtx that repairs nothing of the m-line is passed over."""
    repairs: dict[int, int] = {}
    for number, (name, _, _) in maps.items():
        if name.lower() != "rtx":
            continue
        apt = parse_fmtp(parameters.get(number, "")).get("apt", "")
        if _PAYLOAD_TYPE.fullmatch(apt) and int(apt) in maps:
            repairs.setdefault(int(apt), number)
    return repairs


def _feedback(section: Section, kind: MediaKind) -> dict[int | None, set[str]]:
    """Return the known feedback by payload type, that of `*` added to each; under None that of `*` alone."""
    feedback: dict[int | None, set[str]] = {None: set()}
    for attribute in section.all("rtcp-fb"):
        number, value = _numbered(attribute)
        if value in FEEDBACK[kind]:
            feedback.setdefault(number, set()).add(value)
    return {number: values | feedback[None] for number, values in feedback.items()}


def _identity(kind: MediaKind, name: str, clock_rate: int, channels: int, fmtp: str) -> str | None:
    """Return what tells the format from others of its name, None for formats that the node does not take.

    Of H.264 it takes the constrained baseline profile in packetization mode 1, of VP9 and AV1 profile 0: what every
    browser decodes, since a sender's format must suit everyone in the room.
    """
    parameters = parse_fmtp(fmtp)
    upper = name.upper()
    if kind == "audio":
        stereo_opus = (upper, clock_rate, channels) == ("OPUS", 48_000, 2)
        return "" if stereo_opus else None
    if clock_rate != 90_000:  # noqa: PLR2004 - the clock rate of all video formats (RFC 3551)
        return None
    wanted = {
        "VP8": True,
        "VP9": parameters.get("profile-id", "0") == "0",
        "H264": parameters.get("packetization-mode") == "1" and _is_constrained_baseline(parameters),
        "AV1": parameters.get("profile", "0") == "0",
    }.get(upper, False)
    identities = {
        "H264": "packetization-mode=1;profile=constrained-baseline",
        "VP9": "profile-id=0",
        "AV1": "profile=0",
    }
    return identities.get(upper, "") if wanted else None


def _redundant(number: int, maps: Mapping[int, tuple[str, int, int]], fmtp: str) -> str | None:
    """Return the identity of redundant Opus (RFC 2198), None for whatever else a payload type stands for."""
    blocks = {maps.get(int(block), ("", 0, 0)) for block in fmtp.split("/") if _PAYLOAD_TYPE.fullmatch(block)}
    name, *rest = maps.get(number, ("",))
    spelled = {(block.upper(), *numbers) for block, *numbers in blocks}
    return "opus" if (name.upper(), rest) == ("RED", [48_000, 2]) and spelled == {("OPUS", 48_000, 2)} else None


def _is_constrained_baseline(parameters: Mapping[str, str]) -> bool:
    """Whether a profile-level-id names the constrained baseline profile (RFC 6184 table 5)."""
    value = parameters.get("profile-level-id", "")
    if not _H264_PROFILE_LEVEL_ID.fullmatch(value):
        return False
    profile, constraints = int(value[:2], 16), int(value[2:4], 16)
    required = {0x42: 0x40, 0x4D: 0x80, 0x58: 0xC0}.get(profile)
    return required is not None and constraints & required == required


def _preference(offered: Format) -> int:
    return _PREFERENCE.index(offered.name.upper())
