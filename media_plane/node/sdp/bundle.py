"""What all m-lines of a BUNDLE group share: the meaning of payload types and of extension identifiers (RFC 9143)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from media_plane.node.sdp.formats import Format, MediaKind
from media_plane.node.sdp.offer import Offer, OfferedMedia


class CommonFormats:
    """Payload types as the m-lines before have bound them; what contradicts that is left out of those that follow."""

    def __init__(self) -> None:
        self._bound: dict[int, tuple[MediaKind, Format]] = {}
        self._repairs: dict[int, int] = {}

    @property
    def all(self) -> tuple[Format, ...]:
        """Every format that was taken, once."""
        return tuple(each for _, each in self._bound.values())

    def take(self, media: OfferedMedia) -> tuple[Format, ...]:
        """Return the formats of an m-line that contradict nothing, without an rtx that does."""
        return tuple(kept for each in media.formats if (kept := self._take(media.kind, each)) is not None)

    def _take(self, kind: MediaKind, offered: Format) -> Format | None:
        number, rtx = offered.payload_type, offered.rtx_payload_type
        if number in self._repairs:
            return None
        bound_kind, bound = self._bound.setdefault(number, (kind, replace(offered, rtx_payload_type=None)))
        if (bound_kind, bound.name.upper(), bound.identity) != (kind, offered.name.upper(), offered.identity):
            return None
        if rtx is None or rtx in self._bound or self._repairs.setdefault(rtx, number) != number:
            return replace(offered, rtx_payload_type=None)
        if bound.rtx_payload_type is None:
            self._bound[number] = (kind, replace(bound, rtx_payload_type=rtx))
        return offered


def common_extensions(offer: Offer, former: Mapping[str, int] | None = None) -> dict[str, int]:
    """Return the identifier of each extension that the engine knows, by its name for it.

    An identifier that stands for different things on different m-lines is not used at all. Of several identifiers of
    one extension that of the m-lines is taken that need it most: those of simulcast, then others that send.

    Args:
        offer: The client's offer.
        former: What the connection uses already: an identifier that was ever bound stays bound.
    """
    agreed = dict[str, int]()
    meanings: dict[int, set[str]] = {}
    for media in offer.accepted:
        for number, uri in media.identifiers.items():
            meanings.setdefault(number, set()).add(uri)
    wanted = sorted(offer.accepted, key=lambda media: (not media.rids, media.direction == "recvonly"))
    for media in wanted:
        for each in media.extensions:
            if len(meanings[each.identifier]) == 1:
                agreed.setdefault(each.name, each.identifier)
    kept = {name: number for name, number in (former or {}).items() if name in agreed}
    return agreed | kept
