"""What offer and node agree on: tracks, slots, formats and extensions of a session."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from media_plane.node.sdp.errors import SdpInvalidError, SdpNotAcceptableError
from media_plane.node.sdp.formats import Format, MediaKind
from media_plane.node.sdp.offer import Offer, OfferedMedia

MAX_SEND_TRACKS: Final = 8
"""The contract's limit for the tracks of a session."""


@dataclass(frozen=True, slots=True)
class AgreedTrack:
    """An m-line on which the client sends."""

    media: OfferedMedia
    muted: bool


@dataclass(frozen=True, slots=True)
class AgreedSlot:
    """An m-line on which the client receives, with the SSRCs that everything in it carries."""

    media: OfferedMedia
    ssrc: int
    rtx_ssrc: int | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a session is opened with.

    Attributes:
        offer: What was offered.
        tracks: What the client sends, by mid.
        slots: What it receives on, by mid.
        formats: All formats of the session; a payload type means the same on all m-lines of a BUNDLE group.
        extensions: Identifier of each agreed extension by the engine's name for it.
        cname: The node's canonical name in this session (RFC 7022).
        session_number: Number of the SDP session in the answer's origin line.
        version: Version of the answer in that line; an ICE restart makes another.
    """

    offer: Offer
    tracks: Mapping[str, AgreedTrack]
    slots: Mapping[str, AgreedSlot]
    formats: tuple[Format, ...]
    extensions: Mapping[str, int]
    cname: str
    session_number: int
    version: int = 2


def _random_ssrc() -> int:
    return 1 + secrets.randbelow(0xFFFF_FFFF)


def agree(offer: Offer, muted: Mapping[str, bool], *, random_ssrc: Callable[[], int] = _random_ssrc) -> Agreement:
    """Decide what a session consists of.

    Args:
        offer: The client's offer.
        muted: Whether a track starts muted, by mid; names every m-line on which the client sends.
        random_ssrc: Where the slots' SSRCs come from.

    Raises:
        SdpInvalidError: A payload type or extension identifier means different things on different m-lines.
        SdpNotAcceptableError: A sending m-line is not named, or there are too many of them.
    """
    tracks: dict[str, AgreedTrack] = {}
    slots: dict[str, AgreedSlot] = {}
    taken = {ssrc for media in offer.accepted for ssrc in (media.ssrc, media.rtx_ssrc) if ssrc is not None}
    for media in offer.accepted:
        if media.direction in {"sendonly", "sendrecv"}:
            if media.mid not in muted:
                raise SdpNotAcceptableError("an m-line that sends, but is not among the offer's tracks", media.line)
            tracks[media.mid] = AgreedTrack(media, muted[media.mid])
        elif media.direction == "recvonly":
            has_rtx = any(offered.rtx_payload_type is not None for offered in media.formats)
            ssrc = _free_ssrc(taken, random_ssrc)
            slots[media.mid] = AgreedSlot(media, ssrc, _free_ssrc(taken, random_ssrc) if has_rtx else None)
    if len(tracks) > MAX_SEND_TRACKS:
        raise SdpNotAcceptableError(f"more than {MAX_SEND_TRACKS} m-lines that send")
    return Agreement(
        offer=offer,
        tracks=tracks,
        slots=slots,
        formats=_merge_formats(offer),
        extensions=_merge_extensions(offer),
        cname=secrets.token_urlsafe(12),
        session_number=secrets.randbelow(2**62),
    )


def _free_ssrc(taken: set[int], random_ssrc: Callable[[], int]) -> int:
    while (ssrc := random_ssrc()) in taken:
        pass
    taken.add(ssrc)
    return ssrc


def _merge_formats(offer: Offer) -> tuple[Format, ...]:
    merged: dict[int, tuple[MediaKind, Format]] = {}
    repairs: dict[int, int] = {}
    for media in offer.accepted:
        for each in media.formats:
            kind, known = merged.setdefault(each.payload_type, (media.kind, each))
            if (kind, known.name.upper(), known.identity) != (media.kind, each.name.upper(), each.identity):
                raise SdpInvalidError("a payload type that stands for another format on another m-line", media.line)
            if each.rtx_payload_type is None:
                continue
            if known.rtx_payload_type is None:
                merged[each.payload_type] = (kind, each)
            if repairs.setdefault(each.rtx_payload_type, each.payload_type) != each.payload_type:
                raise SdpInvalidError("an rtx payload type that repairs another format on another m-line", media.line)
    if not repairs.keys().isdisjoint(merged):
        raise SdpInvalidError("an rtx payload type stands for a format on another m-line")
    return tuple(each for _, each in merged.values())


def _merge_extensions(offer: Offer) -> dict[str, int]:
    merged: dict[str, int] = {}
    names: dict[int, str] = {}
    for media in offer.accepted:
        for extension in media.extensions:
            same_number = merged.setdefault(extension.name, extension.identifier) == extension.identifier
            same_name = names.setdefault(extension.identifier, extension.name) == extension.name
            if not (same_number and same_name):
                raise SdpInvalidError("an a=extmap that contradicts another m-line's or another of its own", media.line)
    return merged
