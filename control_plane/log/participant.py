"""Somebody in a meeting, and the life of their stay: a pure state machine.

`WAITING -> JOINING -> CONNECTED <-> RECONNECTING -> LEFT`; all may end in `LEFT`, and nothing comes back from it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from control_plane.kernel.roles import ParticipantRole
from control_plane.kernel.transition import look_up


class ParticipantState(enum.Enum):
    """Where a participant is in their stay."""

    WAITING = "waiting"
    JOINING = "joining"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    LEFT = "left"
    UNKNOWN = "unknown"
    """One of a newer version, which alone knows what media mean to it."""


class ParticipantEvent(enum.Enum):
    """What can happen to a participant."""

    ADMITTED = "admitted"
    """A host let them in from the waiting room."""
    MEDIA_CONNECTED = "media_connected"
    """ICE and DTLS of their session are up."""
    MEDIA_LOST = "media_lost"
    """Their session closed, or the room's node is gone."""
    MEDIA_RENEGOTIATED = "media_renegotiated"
    """They have a new session whose media is not up yet."""
    DEPARTED = "departed"
    """They left, were removed, expired, or the meeting ended."""


class LeaveReason(enum.Enum):
    """Why somebody is no longer in a meeting."""

    LEFT = "left"
    PRESENCE_EXPIRED = "presence_expired"
    REMOVED = "removed"
    MEETING_ENDED = "meeting_ended"
    UNKNOWN = "unknown"
    """One of a newer version."""


class TrackKind(enum.Enum):
    """The kind of media."""

    AUDIO = "audio"
    VIDEO = "video"
    UNKNOWN = "unknown"
    """One of a newer version."""


class TrackSource(enum.Enum):
    """Where a track's media comes from."""

    MICROPHONE = "microphone"
    CAMERA = "camera"
    SCREEN = "screen"
    SCREEN_AUDIO = "screen_audio"
    UNKNOWN = "unknown"
    """One of a newer version."""


@dataclass(frozen=True, slots=True)
class Track:
    """One audio or video stream that a participant can send.

    Attributes:
        mid: The `a=mid` of its m-line in the sender's offer (RFC 8843).
        kind: Audio or video.
        source: What is shown or heard.
        muted: Whether the sender holds it back.
        others: What a newer version wrote (`records`).
    """

    mid: str
    kind: TrackKind
    source: TrackSource
    muted: bool = False
    others: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Participant:
    """Somebody in a meeting, with what only the control plane needs to know about their media session.

    Attributes:
        id: A UUID, the same over reconnections.
        display_name: What others see.
        role: What they may do.
        state: Where they are in their stay.
        user_id: The account, empty for guests.
        join_time: When they first came in.
        tracks: What they send, in the order of their offer.
        session_id: Their media session on the node; empty in the waiting room.
        subject: Who called JoinMeeting: the token's subject; never shown to others.
        epoch: Fencing epoch of the room under which their session was opened; 0: not known.
        others: What a newer version wrote (`records`).
    """

    id: str
    display_name: str
    role: ParticipantRole
    state: ParticipantState
    join_time: datetime
    user_id: str = ""
    tracks: tuple[Track, ...] = ()
    session_id: str = ""
    subject: str = ""
    epoch: int = 0
    others: str = field(default="", repr=False)

    def __hash__(self) -> int:
        """Of the id alone: large rosters are looked up by participant for each who joins."""
        return hash(self.id)


_MACHINE: Final = "participant"
_STEPS: Mapping[tuple[ParticipantState, ParticipantEvent], ParticipantState] = MappingProxyType(
    {
        (ParticipantState.WAITING, ParticipantEvent.ADMITTED): ParticipantState.JOINING,
        (ParticipantState.WAITING, ParticipantEvent.DEPARTED): ParticipantState.LEFT,
        (ParticipantState.JOINING, ParticipantEvent.MEDIA_CONNECTED): ParticipantState.CONNECTED,
        # A first session that never came up: the client is expected to try again while presence lasts.
        (ParticipantState.JOINING, ParticipantEvent.MEDIA_LOST): ParticipantState.RECONNECTING,
        (ParticipantState.JOINING, ParticipantEvent.MEDIA_RENEGOTIATED): ParticipantState.JOINING,
        (ParticipantState.JOINING, ParticipantEvent.DEPARTED): ParticipantState.LEFT,
        (ParticipantState.CONNECTED, ParticipantEvent.MEDIA_CONNECTED): ParticipantState.CONNECTED,
        (ParticipantState.CONNECTED, ParticipantEvent.MEDIA_LOST): ParticipantState.RECONNECTING,
        (ParticipantState.CONNECTED, ParticipantEvent.MEDIA_RENEGOTIATED): ParticipantState.RECONNECTING,
        (ParticipantState.CONNECTED, ParticipantEvent.DEPARTED): ParticipantState.LEFT,
        (ParticipantState.RECONNECTING, ParticipantEvent.MEDIA_CONNECTED): ParticipantState.CONNECTED,
        (ParticipantState.RECONNECTING, ParticipantEvent.MEDIA_LOST): ParticipantState.RECONNECTING,
        (ParticipantState.RECONNECTING, ParticipantEvent.MEDIA_RENEGOTIATED): ParticipantState.RECONNECTING,
        (ParticipantState.RECONNECTING, ParticipantEvent.DEPARTED): ParticipantState.LEFT,
        (ParticipantState.UNKNOWN, ParticipantEvent.MEDIA_CONNECTED): ParticipantState.UNKNOWN,
        (ParticipantState.UNKNOWN, ParticipantEvent.MEDIA_LOST): ParticipantState.UNKNOWN,
        (ParticipantState.UNKNOWN, ParticipantEvent.MEDIA_RENEGOTIATED): ParticipantState.UNKNOWN,
        (ParticipantState.UNKNOWN, ParticipantEvent.DEPARTED): ParticipantState.LEFT,
    }
)


def step(state: ParticipantState, event: ParticipantEvent) -> ParticipantState:
    """Returns the state after an event.

    Raises:
        ImpossibleTransitionError: The event can't happen in this state.
    """
    return look_up(_MACHINE, _STEPS, state, event)


def advance(participant: Participant, event: ParticipantEvent) -> Participant:
    """Applies an event to a participant.

    Raises:
        ImpossibleTransitionError: The event can't happen in the participant's state.
    """
    return replace(participant, state=step(participant.state, event))


@dataclass(frozen=True, slots=True)
class SessionKey:
    """A media session and whose it is."""

    session_id: str
    participant_id: str


@dataclass(frozen=True, slots=True)
class MediaStateEvent:
    """A session's transport connected or closed, or fell silent: then it may still go on.

    Attributes:
        session: The session.
        connected: Whether media flows.
        silence: For how long nothing has come from the client, by the node's word; None: something does, or the session
            is closed.
    """

    session: SessionKey
    connected: bool
    silence: timedelta | None = None
