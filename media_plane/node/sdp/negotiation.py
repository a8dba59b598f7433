"""What offer and node agree on: tracks, slots, formats and extensions of a session."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from media_plane.node.sdp.bundle import CommonFormats, common_extensions
from media_plane.node.sdp.channels import OfferedChannels
from media_plane.node.sdp.errors import SdpInvalidError, SdpNotAcceptableError
from media_plane.node.sdp.following import check_follows
from media_plane.node.sdp.formats import Format
from media_plane.node.sdp.offer import Offer, OfferedMedia, RejectedMedia

MAX_SEND_TRACKS: Final = 8
"""The contract's limit for the tracks of a session."""
_FIRST_VERSION: Final = 2


@dataclass(frozen=True, slots=True)
class AgreedTrack:
    """An m-line on which the client sends."""

    media: OfferedMedia
    muted: bool

    def goes_on_as(self, later: AgreedTrack) -> bool:
        """Whether a later offer has the same track; one in other formats or encodings is another to the engine."""
        now, then = self.media, later.media
        return (now.kind, now.formats, now.rids) == (then.kind, then.formats, then.rids)


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
        media: What each m-line is answered with: as offered, without what contradicts another m-line.
        tracks: What the client sends, by mid.
        slots: What it receives on, by mid.
        formats: All formats of the session; a payload type means the same on all m-lines of a BUNDLE group.
        extensions: Identifier of each agreed extension by the engine's name for it.
        bound_formats: What payload types stand for, also those that only former offers of the connection had.
        bound_extensions: What identifiers of extensions stand for, likewise.
        cname: The node's canonical name in this session (RFC 7022).
        session_number: Number of the SDP session in the answer's origin line.
        version: Version of the answer in that line; each answer to a later offer has the next.
    """

    offer: Offer
    media: tuple[OfferedMedia | OfferedChannels | RejectedMedia, ...]
    tracks: Mapping[str, AgreedTrack]
    slots: Mapping[str, AgreedSlot]
    formats: tuple[Format, ...]
    extensions: Mapping[str, int]
    bound_formats: CommonFormats
    bound_extensions: Mapping[str, int]
    cname: str
    session_number: int
    version: int = _FIRST_VERSION

    def has_same_media_as(self, other: Agreement) -> bool:
        """Whether it makes no difference to what is sent and received."""
        ours = (self.media, self.slots, self.formats, self.extensions)
        return ours == (other.media, other.slots, other.formats, other.extensions)


def _random_ssrc() -> int:
    return 1 + secrets.randbelow(0xFFFF_FFFF)


def agree(
    offer: Offer,
    muted: Mapping[str, bool],
    *,
    former: Agreement | None = None,
    random_ssrc: Callable[[], int] = _random_ssrc,
) -> Agreement:
    """Decide what a session consists of.

    Args:
        offer: The client's offer.
        muted: Whether a track starts muted, by mid; names every m-line on which the client sends.
        former: What the session consists of now, which goes on under its numbers; None: it is a new one.
        random_ssrc: Where the slots' SSRCs come from.

    Raises:
        SdpInvalidError: A track is named whose m-line can't be used.
        SdpNotAcceptableError: That, or a sending m-line is not named, or there are too many of them, or the offer can't
            follow the former one.
    """
    if former is not None:
        check_follows(offer.media, former.media)
    formats = former.bound_formats.later() if former else CommonFormats()
    bound_extensions = former.bound_extensions if former else {}
    extensions = common_extensions(offer, bound_extensions)
    media = tuple(_agreed(each, formats, extensions) for each in offer.media)
    for each in media:
        if isinstance(each, RejectedMedia) and each.problem and each.mid in muted:
            raise each.problem
    if former is not None:
        check_follows(media, former.media)
    accepted = [each for each in media if isinstance(each, OfferedMedia)]
    tracks = _tracks(accepted, muted)
    return Agreement(
        offer=offer,
        media=media,
        tracks=tracks,
        slots=_slots(accepted, former.slots if former else {}, random_ssrc),
        formats=formats.all,
        extensions=extensions,
        bound_formats=formats,
        bound_extensions={**bound_extensions, **extensions},
        cname=former.cname if former else secrets.token_urlsafe(12),
        session_number=former.session_number if former else secrets.randbelow(2**62),
        version=former.version + 1 if former else _FIRST_VERSION,
    )


def _agreed(
    media: OfferedMedia | OfferedChannels | RejectedMedia, formats: CommonFormats, extensions: Mapping[str, int]
) -> OfferedMedia | OfferedChannels | RejectedMedia:
    """Leave out of an m-line what contradicts others."""
    if not isinstance(media, OfferedMedia):
        return media
    kept = formats.take(media)
    if not kept:
        problem = SdpInvalidError("its payload types stand for other formats on another m-line", media.line)
        return RejectedMedia(media.mid, media.kind, media.protocol, (str(media.formats[0].payload_type),), problem)
    agreed = tuple(each for each in media.extensions if extensions.get(each.name) == each.identifier)
    rids = media.rids if any(each.name == "rid" for each in agreed) else ()
    return replace(media, formats=kept, extensions=agreed, rids=rids)


def _tracks(accepted: Sequence[OfferedMedia], muted: Mapping[str, bool]) -> dict[str, AgreedTrack]:
    tracks: dict[str, AgreedTrack] = {}
    for media in accepted:
        if media.direction not in {"sendonly", "sendrecv"}:
            continue
        if media.mid not in muted:
            raise SdpNotAcceptableError("an m-line that sends, but is not among the offer's tracks", media.line)
        tracks[media.mid] = AgreedTrack(media, muted[media.mid])
    if len(tracks) > MAX_SEND_TRACKS:
        raise SdpNotAcceptableError(f"more than {MAX_SEND_TRACKS} m-lines that send")
    return tracks


def _slots(
    accepted: Sequence[OfferedMedia], former: Mapping[str, AgreedSlot], random_ssrc: Callable[[], int]
) -> dict[str, AgreedSlot]:
    """Return the m-lines on which the client receives: all that do nothing else, and those that already have a slot."""
    declared = {ssrc for media in accepted for ssrc in (media.ssrc, media.rtx_ssrc) if ssrc is not None}
    taken = declared | {ssrc for slot in former.values() for ssrc in (slot.ssrc, slot.rtx_ssrc) if ssrc is not None}
    slots: dict[str, AgreedSlot] = {}
    for media in accepted:
        known = former.get(media.mid)
        if known is not None and media.direction in {"recvonly", "sendrecv"}:
            slots[media.mid] = replace(known, media=media)
        elif media.direction == "recvonly":
            has_rtx = any(offered.rtx_payload_type is not None for offered in media.formats)
            ssrc = _free_ssrc(taken, random_ssrc)
            slots[media.mid] = AgreedSlot(media, ssrc, _free_ssrc(taken, random_ssrc) if has_rtx else None)
    return slots


def _free_ssrc(taken: set[int], random_ssrc: Callable[[], int]) -> int:
    while (ssrc := random_ssrc()) in taken:
        pass
    taken.add(ssrc)
    return ssrc
