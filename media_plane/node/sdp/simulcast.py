"""Simulcast in an offer: the encodings of an m-line by RTP stream identifier (RFC 8851, RFC 8853)."""

from __future__ import annotations

import re
from typing import Final

from media_plane.node.sdp.errors import SdpInvalidError
from media_plane.node.sdp.grammar import Section

MAX_ENCODINGS: Final = 3
"""What browsers send; further ones of an offer are left out of the answer."""

_RID: Final = re.compile(r"([A-Za-z0-9]{1,16}) (send|recv)(?: .*)?")
"""RFC 8851 allows longer identifiers, but a one-byte header extension holds 16 (RFC 8285 section 4.2)."""
_SIMULCAST: Final = re.compile(r"(send|recv) (\S+)(?: (send|recv) (\S+))?")


def read_simulcast(section: Section) -> tuple[str, ...]:
    """Return the identifiers of the encodings that the client offers to send, in its order; empty: no simulcast.

    Of alternatives for one encoding the first is taken. Restrictions are the sender's own affair.

    Raises:
        SdpInvalidError: A malformed attribute, or an encoding that no `a=rid` declares.
    """
    declared = set()
    for rid in section.all("rid"):
        match = _RID.fullmatch(rid.value)
        if match is None:
            raise SdpInvalidError("a=rid is <letters and digits, 16 at most> send|recv [<restrictions>]", rid.line)
        if match[2] == "send":
            declared.add(match[1])
    attribute = section.first("simulcast")
    if attribute is None:
        return ()
    match = _SIMULCAST.fullmatch(attribute.value)
    if match is None or match[1] == match[3]:
        raise SdpInvalidError("a=simulcast is send|recv <list> [recv|send <list>]", attribute.line)
    streams = {match[1]: match[2], match[3]: match[4]}.get("send") or ""
    names = [stream.split(",")[0].removeprefix("~") for stream in streams.split(";") if streams]
    if not declared.issuperset(names) or len(set(names)) != len(names):
        raise SdpInvalidError("a=simulcast names each stream once, and each has an a=rid of its own", attribute.line)
    return tuple(names[:MAX_ENCODINGS])


def simulcast_lines(rids: tuple[str, ...]) -> tuple[str, ...]:
    """Return the answer's lines for the encodings that were agreed on."""
    if not rids:
        return ()
    return (*(f"a=rid:{rid} recv" for rid in rids), f"a=simulcast:recv {';'.join(rids)}")
