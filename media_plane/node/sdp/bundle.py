"""What all m-lines of a BUNDLE group share: the meaning of payload types and of extension identifiers (RFC 9143)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from media_plane.node.sdp.errors import SdpNotAcceptableError
from media_plane.node.sdp.formats import EXTENSIONS, Format, MediaKind
from media_plane.node.sdp.offer import Offer, OfferedMedia

_NAMES: Final[Mapping[str, str]] = {uri: name for known in EXTENSIONS.values() for uri, name in known.items()}
Meaning = tuple[MediaKind, str, str]
"""What a payload type stands for: kind, name and identity of a format."""


class CommonFormats:
    """Payload types as the m-lines before have bound them; what contradicts that is left out of those that follow.

    A number that was ever bound stays bound for the life of the connection (RFC 3264 section 8.3.2).
    """

    def __init__(self, bound: Iterable[tuple[int, Meaning]] = (), repairs: Iterable[tuple[int, int]] = ()) -> None:
        self._bound: dict[int, Meaning] = dict(bound)
        self._repairs: dict[int, int] = dict(repairs)
        self._taken: dict[int, Format] = {}

    def later(self) -> CommonFormats:
        """Return what a later offer of the connection begins with."""
        return CommonFormats(self._bound.items(), self._repairs.items())

    @property
    def all(self) -> tuple[Format, ...]:
        """Every format that was taken from an m-line of this offer, once."""
        return tuple(self._taken.values())

    def take(self, media: OfferedMedia) -> tuple[Format, ...]:
        """Return the formats of an m-line that contradict nothing, without an rtx that does."""
        return tuple(kept for each in media.formats if (kept := self._take(media.kind, each)) is not None)

    def _take(self, kind: MediaKind, offered: Format) -> Format | None:
        number, rtx = offered.payload_type, offered.rtx_payload_type
        meaning = (kind, offered.name.upper(), offered.identity)
        if number in self._repairs or self._bound.setdefault(number, meaning) != meaning:
            return None
        taken = self._taken.setdefault(number, replace(offered, rtx_payload_type=None))
        if rtx is None or rtx in self._bound or self._repairs.setdefault(rtx, number) != number:
            return replace(offered, rtx_payload_type=None)
        if taken.rtx_payload_type is None:
            self._taken[number] = replace(taken, rtx_payload_type=rtx)
        return offered


def common_extensions(offer: Offer, former: Mapping[str, int]) -> dict[str, int]:
    """Return the identifier of each extension that the engine knows, by its name for it.

    An identifier that stands for different things on different m-lines is not used at all. Of several identifiers of
    one extension that of the m-lines is taken that need it most: those of simulcast, then others that send.

    Args:
        offer: The client's offer.
        former: What was ever agreed on over the same connection: that stays, or is not used.

    Raises:
        SdpNotAcceptableError: An identifier stands for something else than before, so that neither side could tell
            which of the two a packet carries (RFC 8285 section 5).
    """
    meanings: dict[int, set[str]] = {}
    for media in offer.accepted:
        for number, uri in media.identifiers.items():
            meanings.setdefault(number, set()).add(uri)
    for name, number in former.items():
        if any(_NAMES.get(uri) != name for uri in meanings.get(number, ())):
            raise SdpNotAcceptableError(f"extension identifier {number} stands for something else than before")
    agreed = dict[str, int]()
    bound = set(former.values())
    wanted = sorted(offer.accepted, key=lambda media: (not media.rids, media.direction == "recvonly"))
    for each in (each for media in wanted for each in media.extensions):
        is_free = each.name not in former and each.identifier not in bound and len(meanings[each.identifier]) == 1
        if is_free or former.get(each.name) == each.identifier:
            agreed.setdefault(each.name, each.identifier)
    return agreed
