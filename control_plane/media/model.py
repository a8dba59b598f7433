"""What a client asks of its media session, in words that know neither protobuf nor SDP."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from control_plane.log.participant import Track
from control_plane.log.slots import SlotAssignment


class SlotMode(enum.Enum):
    """How a video slot is filled."""

    SOURCE = "source"
    AUTOMATIC = "automatic"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class SlotSelection:
    """What a video slot shall show.

    Attributes:
        mid: The slot's `a=mid` in the offer.
        mode: A certain track, the node's choice, or nothing.
        participant_id: Whose track, for `SOURCE`.
        source_mid: Which of their tracks, for `SOURCE`.
        max_height: Height in device pixels at which it is shown; 0: unknown.
        priority: Larger is served first when bandwidth is short.
    """

    mid: str
    mode: SlotMode
    participant_id: str = ""
    source_mid: str = ""
    max_height: int = 0
    priority: int = 0


@dataclass(frozen=True, slots=True)
class MediaOffer:
    """A client's half of a media session: SDP offer, what it sends, what its slots show at first."""

    sdp: str
    tracks: tuple[Track, ...] = ()
    slots: tuple[SlotSelection, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """The node's half of a media session.

    Attributes:
        sdp: The answer.
        slots: What its slots carry.
        session_id: The session: the one that was to be opened, or the participant's present one where the offer
            restarted its ICE.
    """

    sdp: str
    slots: tuple[SlotAssignment, ...] = ()
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server for the client."""

    uris: tuple[str, ...]
    username: str = ""
    credential: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class MediaAnswer:
    """What a client needs to connect: answer, first slots, ICE servers and the placement's epoch."""

    sdp: str
    slots: tuple[SlotAssignment, ...]
    epoch: int
    ice_servers: tuple[IceServer, ...] = ()
