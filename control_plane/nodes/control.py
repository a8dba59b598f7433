"""What the control plane tells media nodes and what they tell it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta
from typing import NewType, Protocol

from control_plane.log.participant import MediaStateEvent, SessionKey, Track
from control_plane.log.position import NodePosition
from control_plane.log.slots import SlotAssignment, TrackEncodings
from control_plane.media.model import MediaOffer, OpenedSession, SlotSelection
from control_plane.rooms.model import Placement


class NodeUnreachableError(Exception):
    """The node does not answer at its control address."""


class RoomNotServedError(Exception):
    """The node does not serve the room (any more): wrong epoch, no such room or session, draining, or full.

    Attributes:
        reason: Name of the node's ErrorReason.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the node answered {reason}")


class NodeFullError(RoomNotServedError):
    """The node takes no more sessions."""

    def __init__(self) -> None:
        super().__init__("NODE_FULL")


class NodeDrainingError(RoomNotServedError):
    """The node takes no new rooms."""

    def __init__(self) -> None:
        super().__init__("NODE_DRAINING")


SerializedExplanation = NewType("SerializedExplanation", bytes)
"""A `parley.meeting.v1.MediaExplanation`, serialised: what a node says to a participant, passed on unread."""


class MediaNodes(Protocol):
    """Telling media nodes what to do.

    All methods raise `NodeUnreachableError`, `RoomNotServedError`, or a `DomainError` for the caller: SDP_INVALID,
    SDP_NOT_ACCEPTABLE, MID_UNKNOWN.
    """

    async def open_room(self, placement: Placement) -> None:
        """Opens a room or takes over its newer epoch."""
        ...

    async def close_room(self, address: str, room_id: str, epoch: int) -> None:
        """Closes a room and all its sessions."""
        ...

    async def open_session(self, placement: Placement, session: SessionKey, offer: MediaOffer) -> OpenedSession:
        """Opens a session from an offer."""
        ...

    async def close_session(self, placement: Placement, session: SessionKey) -> None:
        """Closes a session."""
        ...

    async def update_slots(self, placement: Placement, participant_id: str, slots: Sequence[SlotSelection]) -> None:
        """Sets what slots show."""
        ...

    async def update_tracks(self, placement: Placement, participant_id: str, tracks: Sequence[Track]) -> None:
        """Sets state and source of tracks."""
        ...

    async def explain(self, placement: Placement, participant_id: str) -> SerializedExplanation:
        """Says why a participant's pictures look as they do."""
        ...

    def watch(self, address: str, position: NodePosition | None) -> AsyncIterator[NodeMessage]:
        """Streams what happens on a node, from a position on."""
        ...

    async def reachable(self, address: str) -> bool:
        """Whether anything listens at a control address."""
        ...

    async def forget_others(self, addresses: AbstractSet[str]) -> None:
        """Closes connections to all control addresses but these."""
        ...


@dataclass(frozen=True, slots=True)
class WatchStarted:
    """Beginning of a node's event stream; `from_state`: the state of all rooms follows."""

    position: NodePosition
    from_state: bool


@dataclass(frozen=True, slots=True)
class NodeSession:
    """A session by its node's word.

    Attributes:
        key: The session.
        connected: Whether media flows.
        closed: Whether it is over.
        slots: What its slots carry.
        tracks: What it sends.
        encodings: Which encodings of that are needed.
        silence: For how long nothing has come from its client although it is connected; None: something does.
    """

    key: SessionKey
    connected: bool
    closed: bool
    slots: tuple[SlotAssignment, ...]
    tracks: tuple[Track, ...]
    encodings: tuple[TrackEncodings, ...] = ()
    silence: timedelta | None = None


@dataclass(frozen=True, slots=True)
class NodeRoom:
    """A room by its node's word."""

    room_id: str
    epoch: int
    sessions: tuple[NodeSession, ...]
    dominant_speaker: str


@dataclass(frozen=True, slots=True)
class SlotStatesEvent:
    """Slots of a session carry other tracks."""

    session: SessionKey
    slots: tuple[SlotAssignment, ...]


@dataclass(frozen=True, slots=True)
class RoomSlotStatesEvent:
    """Slots of several sessions carry other tracks."""

    sessions: tuple[SlotStatesEvent, ...]


@dataclass(frozen=True, slots=True)
class EncodingsEvent:
    """Other encodings of a session's tracks are needed."""

    session: SessionKey
    tracks: tuple[TrackEncodings, ...]


@dataclass(frozen=True, slots=True)
class SpeakerEvent:
    """Somebody else speaks."""

    participant_id: str


@dataclass(frozen=True, slots=True)
class RoomClosedEvent:
    """A room closed by itself."""

    reason: str


RoomEvent = MediaStateEvent | SlotStatesEvent | RoomSlotStatesEvent | EncodingsEvent | SpeakerEvent | RoomClosedEvent
"""What happens in a room of a node."""


@dataclass(frozen=True, slots=True)
class NodeHappening:
    """An event of a node; `what` is None for those that the control plane needs not."""

    position: NodePosition
    room_id: str
    epoch: int
    traceparent: str
    what: RoomEvent | None


NodeMessage = WatchStarted | NodeRoom | NodeHappening
