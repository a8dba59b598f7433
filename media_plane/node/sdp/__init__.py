"""SDP offers in, engine parameters and SDP answers out (RFC 8866, RFC 8829, RFC 9143, RFC 8839).

The parser is our own. `aiortc.sdp` was tried first: it drops `a=rid` and `a=simulcast`, answers a malformed line with a
bare AssertionError or StopIteration, knows no line numbers, and brings FFmpeg into a process that only forwards.
"""

from media_plane.node.sdp.answer import write_answer
from media_plane.node.sdp.errors import SdpError, SdpInvalidError, SdpNotAcceptableError
from media_plane.node.sdp.negotiation import Agreement, agree
from media_plane.node.sdp.offer import Offer, read_offer

__all__ = [
    "Agreement",
    "Offer",
    "SdpError",
    "SdpInvalidError",
    "SdpNotAcceptableError",
    "agree",
    "read_offer",
    "write_answer",
]
