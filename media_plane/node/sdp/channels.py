"""Data channels in an offer and its answer (RFC 8841)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from media_plane.node.sdp.errors import SdpInvalidError
from media_plane.node.sdp.grammar import Section

_PROTOCOL: Final = "UDP/DTLS/SCTP"
"""Of the m-line (section 4.3), also over ICE-TCP: it speaks of the default candidate only."""
MAX_MESSAGE_SIZE: Final = 16_384
"""Bytes of the longest message that the node takes, the engine's `MAX_MESSAGE`."""

_FORMAT: Final = "webrtc-datachannel"
_SCTP_PORT: Final = 5_000
"""The number means nothing over DTLS; it is what everyone says."""
_UNSAID_MESSAGE_SIZE: Final = 65_536
"""What holds where the client says nothing (section 6.1)."""
_NUMBER: Final = re.compile(r"[0-9]{1,19}")
_LARGEST_PORT: Final = 65_535
_LARGEST_SIZE: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class OfferedChannels:
    """The m-line of data channels.

    Attributes:
        mid: Its `a=mid`.
        max_message_size: Bytes of the longest message that the client takes; 0: any.
    """

    mid: str
    max_message_size: int


def read_channels(section: Section, mid: str) -> OfferedChannels | None:
    """Return what an m-line says of data channels; None: it is for something else, or in the way of an old draft.

    Raises:
        SdpInvalidError: A port or a size that is no number in its range.
    """
    port = _number(section, "sctp-port")
    if section.protocol != _PROTOCOL or section.formats != (_FORMAT,) or port is None:
        return None
    if not 0 < port <= _LARGEST_PORT:
        raise SdpInvalidError("a=sctp-port is a number from 1 to 65535", section.line)
    size = _number(section, "max-message-size")
    return OfferedChannels(mid, _UNSAID_MESSAGE_SIZE if size is None else min(size, _LARGEST_SIZE))


def channel_lines() -> Iterator[str]:
    """Return the answer's lines that belong to data channels alone."""
    yield f"a=sctp-port:{_SCTP_PORT}"
    yield f"a=max-message-size:{MAX_MESSAGE_SIZE}"


def m_line() -> str:
    """Return the answer's m-line."""
    return f"m=application 9 {_PROTOCOL} {_FORMAT}"


def _number(section: Section, name: str) -> int | None:
    attribute = section.first(name)
    if attribute is None:
        return None
    if not _NUMBER.fullmatch(attribute.value):
        raise SdpInvalidError(f"a={name} is a number", attribute.line)
    return int(attribute.value)
