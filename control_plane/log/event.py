"""What can happen in a meeting. Applied in order to a snapshot, events give the next state."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from control_plane.log.participant import Participant
from control_plane.meetings.model import Meeting


class LeaveReason(enum.Enum):
    """Why somebody is no longer in a meeting."""

    LEFT = "left"
    PRESENCE_EXPIRED = "presence_expired"
    REMOVED = "removed"
    MEETING_ENDED = "meeting_ended"
    UNKNOWN = "unknown"
    """One of a newer version."""


@dataclass(frozen=True, slots=True)
class SlotAssignment:
    """What a slot of a receiving participant carries.

    Attributes:
        mid: The slot's `a=mid` in its participant's offer.
        participant_id: Whose track; empty: none.
        source_mid: The `mid` of that track; empty: none.
    """

    mid: str
    participant_id: str = ""
    source_mid: str = ""


@dataclass(frozen=True, slots=True)
class ParticipantJoined:
    """Somebody came in."""

    participant: Participant


@dataclass(frozen=True, slots=True)
class ParticipantUpdated:
    """Somebody's name, role, state or tracks changed."""

    participant: Participant


@dataclass(frozen=True, slots=True)
class ParticipantLeft:
    """Somebody left."""

    participant_id: str
    reason: LeaveReason


@dataclass(frozen=True, slots=True)
class DominantSpeakerChanged:
    """Somebody else speaks now; empty: nobody."""

    participant_id: str


@dataclass(frozen=True, slots=True)
class SlotsChanged:
    """Slots of one participant carry other tracks now."""

    slots: tuple[SlotAssignment, ...]


@dataclass(frozen=True, slots=True)
class TrackEncodings:
    """What is needed of a track.

    Attributes:
        mid: The track's `a=mid` in its participant's offer.
        rids: RTP stream ids (RFC 8851) of its encodings that somebody needs; none: it has one, or nobody needs any.
        codec: Name of the codec that those who watch have in common; empty: the one that the answer names first.
    """

    mid: str
    rids: tuple[str, ...] = ()
    codec: str = ""


@dataclass(frozen=True, slots=True)
class EncodingsChanged:
    """Other encodings of one participant's tracks are needed now."""

    tracks: tuple[TrackEncodings, ...]


@dataclass(frozen=True, slots=True)
class ReactionSent:
    """Somebody reacted."""

    participant_id: str
    emoji: str


@dataclass(frozen=True, slots=True)
class MeetingUpdated:
    """The meeting's fields changed."""

    meeting: Meeting


@dataclass(frozen=True, slots=True)
class MeetingEnded:
    """The meeting is over; the participant is empty when it was ended from outside or by the service."""

    participant_id: str = ""


@dataclass(frozen=True, slots=True)
class MediaMoved:
    """The room moved to another node."""

    epoch: int


@dataclass(frozen=True, slots=True)
class PasscodeGuessed:
    """Somebody seems to be searching for the passcode; for the host alone.

    Attributes:
        failures: So many wrong ones came lately.
    """

    failures: int


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """A participant opened an event stream, which replaces the one before. Never shown to clients."""

    stream_id: str


Event = (
    ParticipantJoined
    | ParticipantUpdated
    | ParticipantLeft
    | DominantSpeakerChanged
    | SlotsChanged
    | EncodingsChanged
    | ReactionSent
    | MeetingUpdated
    | MeetingEnded
    | MediaMoved
    | PasscodeGuessed
    | StreamOpened
)
