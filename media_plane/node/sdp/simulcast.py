"""Simulcast in an offer: the encodings of an m-line by RTP stream identifier (RFC 8851, RFC 8853)."""

from __future__ import annotations

import re
from typing import Final

from media_plane.node.sdp.grammar import Section

MAX_ENCODINGS: Final = 3
"""What browsers send; further ones of an offer are left out of the answer."""

_RID: Final = re.compile(r"([A-Za-z0-9_-]{1,16}) (send|recv)(?: .*)?")
"""RFC 8851 allows longer identifiers, but a one-byte header extension holds 16 (RFC 8285 section 4.2)."""
_SIMULCAST: Final = re.compile(r"(send|recv) (\S+)(?: (send|recv) (\S+))?")


def read_simulcast(section: Section) -> tuple[str, ...]:
    """Return the identifiers of the encodings that the client offers to send, in its order; empty: no simulcast.

    Of alternatives for one encoding the first is taken. Restrictions are the sender's own affair. Encodings that no
    well-formed `a=rid` declares are passed over, and so is an `a=simulcast` that says nothing understood: what is left
    out of the answer is not sent (RFC 8853 section 5.3.2).
    """
    matches = [match for rid in section.all("rid") if (match := _RID.fullmatch(rid.value))]
    declared = {match[1] for match in matches if match[2] == "send"}
    attribute = section.first("simulcast")
    match = _SIMULCAST.fullmatch(attribute.value) if attribute else None
    if match is None or match[1] == match[3]:
        return ()
    streams = {match[1]: match[2], match[3]: match[4]}.get("send") or ""
    names = (stream.split(",")[0].removeprefix("~") for stream in streams.split(";"))
    return tuple(dict.fromkeys(name for name in names if name in declared))[:MAX_ENCODINGS]


def simulcast_lines(rids: tuple[str, ...]) -> tuple[str, ...]:
    """Return the answer's lines for the encodings that were agreed on."""
    if not rids:
        return ()
    return (*(f"a=rid:{rid} recv" for rid in rids), f"a=simulcast:recv {';'.join(rids)}")
