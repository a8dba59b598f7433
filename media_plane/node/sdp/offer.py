"""What an offer says, checked and in types: sections with their formats, and the transport of the BUNDLE group."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from media_plane.node.sdp.channels import OfferedChannels, read_channels
from media_plane.node.sdp.errors import SdpError, SdpInvalidError, SdpNotAcceptableError
from media_plane.node.sdp.formats import (
    Extension,
    Format,
    FormatReader,
    MediaKind,
    known_extensions,
    read_identifiers,
)
from media_plane.node.sdp.grammar import Description, Part, Section, read_lines
from media_plane.node.sdp.simulcast import read_simulcast

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

_DIRECTIONS: Final[tuple[Direction, ...]] = ("sendrecv", "sendonly", "recvonly", "inactive")
_MID: Final = re.compile(r"[A-Za-z0-9_-]{1,16}")
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,64}")
_ICE_UFRAG: Final = re.compile(r"[A-Za-z0-9+/]{4,256}")
_ICE_PWD: Final = re.compile(r"[A-Za-z0-9+/]{22,256}")
_SHA256: Final = re.compile(r"(?:[0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}")
_SSRC: Final = re.compile(r"[0-9]{1,10}")
_MAX_SSRC: Final = 0xFFFF_FFFF
_PROTOCOL: Final = "UDP/TLS/RTP/SAVPF"
_PROTOCOLS: Final = frozenset({_PROTOCOL, "UDP/TLS/RTP/SAVP", "TCP/DTLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVP", "RTP/SAVPF"})
"""All mean the same in an offer with ICE and DTLS (RFC 8829 section 5.1.2); the answer repeats what was said."""


@dataclass(frozen=True, slots=True)
class Transport:
    """The client's half of ICE and DTLS."""

    ice_ufrag: str
    ice_pwd: str
    fingerprints: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class OfferedMedia:
    """An audio or video m-line that can be agreed on.

    Attributes:
        mid: Its `a=mid`.
        kind: Audio or video.
        protocol: As the client spells it.
        direction: As the client sees it.
        formats: Those the node forwards, the most preferred first; never empty.
        extensions: Those that the engine knows.
        mixed_extensions: Whether its packets may have header extensions of either form, said of this m-line or of all.
        ssrc: SSRC of the (first) encoding that the client declares; None: it declares none.
        rtx_ssrc: SSRC of its retransmissions, where an FID group (RFC 5576) names it.
        rids: RTP stream identifiers of its simulcast encodings, at least two; empty: one encoding.
        reduced_size_rtcp: Whether reduced-size RTCP (RFC 5506) is offered.
        identifiers: URI of each header extension by its identifier, also of those that the engine does not know.
        line: Where its m-line stands.
    """

    mid: str
    kind: MediaKind
    protocol: str
    direction: Direction
    formats: tuple[Format, ...]
    extensions: tuple[Extension, ...]
    mixed_extensions: bool
    ssrc: int | None
    rtx_ssrc: int | None
    rids: tuple[str, ...]
    reduced_size_rtcp: bool
    identifiers: Mapping[int, str] = field(compare=False)
    line: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class RejectedMedia:
    """An m-line that the node answers with port 0.

    Attributes:
        mid: Its `a=mid`; None: it has none that could be repeated.
        kind: As offered.
        protocol: As offered.
        formats: The first format of the offer.
        problem: Why it can't be used; None: it is of a kind that the node does not know, or switched off by the client.
    """

    mid: str | None
    kind: str
    protocol: str
    formats: tuple[str, ...]
    problem: SdpError | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer that can be answered.

    Attributes:
        media: Its m-lines.
        transport: That of the BUNDLE group.
        mixed_extensions: Whether packets may have header extensions of either form (RFC 8285 section 6). Without the
            longer one, browsers leave out what takes more than 16 bytes: a dependency descriptor with its templates.
        origin: What all offers of one connection have in common; empty: unknown.
    """

    media: tuple[OfferedMedia | OfferedChannels | RejectedMedia, ...]
    transport: Transport
    mixed_extensions: bool = False
    origin: str = ""

    @property
    def accepted(self) -> tuple[OfferedMedia, ...]:
        """The audio and video m-lines that are not rejected."""
        return tuple(media for media in self.media if isinstance(media, OfferedMedia))

    @property
    def channels(self) -> OfferedChannels | None:
        """The m-line of data channels; a description has one at most (RFC 8841 section 5.2)."""
        return next((media for media in self.media if isinstance(media, OfferedChannels)), None)

    def is_on_connection_of(self, former: Offer) -> bool:
        """Whether it comes over the same connection and restarts no ICE, so that the answer must not (RFC 8839)."""
        new, old = self.transport, former.transport
        return (new.ice_ufrag, new.ice_pwd) == (old.ice_ufrag, old.ice_pwd)

    def restarts_ice_of(self, former: Offer) -> bool:
        """Whether it comes over the same connection with other ICE credentials (RFC 8839 section 4.4.1.1).

        The certificate alone tells little, since several connections may share one: the description must be of the same
        SDP session, or speak of the same media. Not every client keeps the session's id.
        """
        new, old = self.transport, former.transport
        renewed = new.ice_ufrag != old.ice_ufrag and new.ice_pwd != old.ice_pwd
        related = self.origin == former.origin != "" or self.media == former.media
        return renewed and related and new.fingerprints == old.fingerprints


def read_offer(text: str) -> Offer:
    """Read an offer. A line that is odd is passed over, an m-line that can't be used is rejected alone.

    Raises:
        SdpInvalidError: It is not SDP, too large, or contradicts itself.
        SdpNotAcceptableError: It lacks BUNDLE, ICE, DTLS or any m-line that can be used.
    """
    description = read_lines(text)
    if not description.sections:
        raise SdpNotAcceptableError("the offer has no m-line")
    _check_mids(description)
    bundled = _bundled_mids(description)
    reader = FormatReader()
    media = tuple(_read_section(section, description.session, bundled, reader) for section in description.sections)
    if sum(isinstance(each, OfferedChannels) for each in media) > 1:
        raise SdpInvalidError("two m-lines of data channels: one transport carries one association")
    if not any(isinstance(each, OfferedMedia) for each in media):
        problems = (each.problem for each in media if isinstance(each, RejectedMedia) and each.problem)
        raise next(problems, SdpNotAcceptableError("the offer has no audio or video m-line"))
    accepted = {each.mid for each in media if not isinstance(each, RejectedMedia)}
    tagged = next(mid for mid in bundled if mid in accepted)
    section = next(section for section in description.sections if _value(section, "mid") == tagged)
    return Offer(
        media=media,
        transport=_read_transport(section, description.session),
        mixed_extensions=description.session.has("extmap-allow-mixed"),
        origin=description.origin,
    )


def _check_mids(description: Description) -> None:
    seen: set[str] = set()
    for section in description.sections:
        attribute = section.first("mid")
        if attribute is None or _is_switched_off(section):
            continue
        if attribute.value in seen:
            raise SdpInvalidError("two m-lines with the same a=mid", attribute.line)
        seen.add(attribute.value)


def _is_switched_off(section: Section) -> bool:
    return section.port == 0 and not section.has("bundle-only")


def _bundled_mids(description: Description) -> tuple[str, ...]:
    for attribute in description.session.all("group"):
        semantics, *mids = attribute.value.split()[: len(description.sections) + 1] or [""]
        if semantics == "BUNDLE":
            return tuple(mids)
    raise SdpNotAcceptableError("the offer has no a=group:BUNDLE; all m-lines must share one transport")


def _value(part: Part, name: str) -> str | None:
    attribute = part.first(name)
    return attribute.value if attribute else None


def _read_section(
    section: Section, session: Part, bundled: tuple[str, ...], reader: FormatReader
) -> OfferedMedia | OfferedChannels | RejectedMedia:
    mid, problem = _value(section, "mid") or "", None
    try:
        if section.kind == "application" and mid in bundled and not _is_switched_off(section):
            channels = read_channels(section, mid)
            if channels is not None:
                return channels
        if section.kind in {"audio", "video"} and not _is_switched_off(section):
            return _read_media(section, session, bundled, reader)
    except SdpError as error:
        problem = error
    tokens = tuple(text for text in section.formats if _TOKEN.fullmatch(text))[:1] or ("0",)
    return RejectedMedia(mid if _MID.fullmatch(mid) else None, section.kind, section.protocol, tokens, problem)


def _read_media(section: Section, session: Part, bundled: tuple[str, ...], reader: FormatReader) -> OfferedMedia:
    kind: MediaKind = "audio" if section.kind == "audio" else "video"
    formats = reader.read(section, kind)
    mid = _check_media(section, bundled, formats)
    ssrc, rtx_ssrc = _read_ssrcs(section)
    identifiers = read_identifiers(section)
    extensions = known_extensions(identifiers, kind)
    return OfferedMedia(
        mid=mid,
        kind=kind,
        protocol=section.protocol,
        direction=_direction(section),
        formats=formats,
        extensions=extensions,
        mixed_extensions=section.has("extmap-allow-mixed") or session.has("extmap-allow-mixed"),
        ssrc=ssrc,
        rtx_ssrc=rtx_ssrc,
        rids=_read_rids(section, kind, extensions),
        reduced_size_rtcp=section.has("rtcp-rsize"),
        identifiers={number: uri for number, (uri, _) in identifiers.items()},
        line=section.line,
    )


def _check_media(section: Section, bundled: tuple[str, ...], formats: tuple[Format, ...]) -> str:
    """Return the mid of an m-line that has what it needs.

    Raises:
        SdpNotAcceptableError: It lacks something.
    """
    attribute = section.first("mid")
    if attribute is None:
        raise SdpNotAcceptableError("an m-line without a=mid", section.line)
    if not _MID.fullmatch(attribute.value):
        raise SdpNotAcceptableError("a=mid must be 1 to 16 letters, digits, - or _", attribute.line)
    if attribute.value not in bundled:
        raise SdpNotAcceptableError("an m-line that is not in the BUNDLE group", section.line)
    if section.protocol not in _PROTOCOLS:
        raise SdpNotAcceptableError(f"an m-line whose protocol is not {_PROTOCOL}", section.line)
    if not section.has("rtcp-mux"):
        raise SdpNotAcceptableError("an m-line without a=rtcp-mux", section.line)
    if not formats:
        known = "Opus (opus/48000/2)" if section.kind == "audio" else "VP8, VP9, H264 (constrained baseline) or AV1"
        raise SdpNotAcceptableError(f"an m-line without a codec that the node forwards: {known}", section.line)
    return attribute.value


def _read_rids(section: Section, kind: MediaKind, extensions: tuple[Extension, ...]) -> tuple[str, ...]:
    """Return the encodings that can be told apart: by the extension that names each packet's (RFC 8852)."""
    rids = read_simulcast(section)
    named = any(extension.name == "rid" for extension in extensions)
    return rids if kind == "video" and named and len(rids) > 1 else ()


def _direction(section: Section) -> Direction:
    found = [direction for direction in _DIRECTIONS if section.has(direction)]
    if len(found) > 1:
        raise SdpInvalidError("an m-line with two directions", section.line)
    return found[0] if found else "sendrecv"


def _read_ssrcs(section: Section) -> tuple[int | None, int | None]:
    """Return the SSRC of the first encoding and that of its retransmissions; malformed lines are passed over."""
    numbers = (_ssrc(attribute.value.partition(" ")[0]) for attribute in section.all("ssrc"))
    declared = dict.fromkeys(number for number in numbers if number is not None)
    repairs: dict[int, int] = {}
    for attribute in section.all("ssrc-group"):
        semantics, *members = attribute.value.split(" ", 3)
        group = [number for member in members if (number := _ssrc(member)) is not None]
        if semantics == "FID" and len(group) == len(members) == 2 and group[0] != group[1]:  # noqa: PLR2004 - a stream and its repair
            repairs.setdefault(group[0], group[1])
    repaired = set(repairs.values())
    primary = next((ssrc for ssrc in declared if ssrc not in repaired), None)
    return primary, repairs.get(primary) if primary is not None else None


def _ssrc(text: str) -> int | None:
    number = int(text) if _SSRC.fullmatch(text) else 0
    return number if 0 < number <= _MAX_SSRC else None


def _read_transport(section: Section, session: Part) -> Transport:
    """Read the transport of the m-line that stands for the BUNDLE group (RFC 9143 section 7.1)."""
    return Transport(
        ice_ufrag=_ice(section, session, "ice-ufrag", _ICE_UFRAG),
        ice_pwd=_ice(section, session, "ice-pwd", _ICE_PWD),
        fingerprints=_fingerprints(section, session),
    )


def _ice(section: Section, session: Part, name: str, pattern: re.Pattern[str]) -> str:
    attribute = section.first(name) or session.first(name)
    if attribute is None:
        raise SdpNotAcceptableError(f"an m-line without a={name}", section.line)
    if not pattern.fullmatch(attribute.value):
        raise SdpInvalidError(f"a={name} breaks the rules of RFC 8839", attribute.line)
    return attribute.value


def _fingerprints(section: Section, session: Part) -> tuple[tuple[str, str], ...]:
    setup = section.first("setup") or session.first("setup")
    if setup is None or setup.value not in {"actpass", "active"}:
        line = setup.line if setup else section.line
        raise SdpNotAcceptableError("a=setup must be actpass or active: the node is the DTLS server", line)
    attributes = section.all("fingerprint") or session.all("fingerprint")
    fingerprints = []
    for attribute in attributes:
        algorithm, _, value = attribute.value.partition(" ")
        if algorithm.lower() != "sha-256":
            continue
        if not _SHA256.fullmatch(value.strip()):
            raise SdpInvalidError("a sha-256 fingerprint is 32 bytes in hexadecimal with colons", attribute.line)
        fingerprints.append(("sha-256", value.strip().upper()))
    if not fingerprints:
        raise SdpNotAcceptableError("an m-line without a sha-256 a=fingerprint", section.line)
    return tuple(dict.fromkeys(fingerprints))
