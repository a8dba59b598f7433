"""What a later offer of a connection may change (RFC 8829 section 5.2.2, RFC 9143 section 7.5, RFC 3264 section 8)."""

from __future__ import annotations

from collections.abc import Sequence

from media_plane.node.sdp.channels import OfferedChannels
from media_plane.node.sdp.errors import SdpNotAcceptableError
from media_plane.node.sdp.offer import OfferedMedia, RejectedMedia

Media = OfferedMedia | OfferedChannels | RejectedMedia


def check_follows(media: Sequence[Media], former: Sequence[Media]) -> None:
    """Check that the m-lines of an offer can follow those that the node has answered before.

    Any may be added at the end, stopped, or put in the place of one that was rejected or stopped before; the others
    stay where they are, in the BUNDLE group and usable.

    Raises:
        SdpError: They can't; it says why.
    """
    if len(media) < len(former):
        message = "fewer m-lines than before: one that is stopped keeps its place with port 0"
        raise SdpNotAcceptableError(message)
    places = {each.mid: place for place, each in enumerate(former) if not isinstance(each, RejectedMedia)}
    for place, each in enumerate(media):
        before = former[place] if place < len(former) else None
        if isinstance(each, RejectedMedia):
            if each.problem is not None and before is not None and not isinstance(before, RejectedMedia):
                raise each.problem
            continue
        is_other = before is not None and not isinstance(before, RejectedMedia) and _name(each) != _name(before)
        if is_other or places.get(each.mid, place) != place:
            message = "m-lines keep their order and their a=mid, until they are stopped"
            raise SdpNotAcceptableError(message, each.line if isinstance(each, OfferedMedia) else 0)


def _name(media: OfferedMedia | OfferedChannels) -> tuple[str, str]:
    return media.mid, media.kind if isinstance(media, OfferedMedia) else "application"
