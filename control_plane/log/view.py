"""A meeting's live state at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from control_plane.log.participant import Participant
from control_plane.log.slots import SlotAssignment, TrackEncodings
from control_plane.meetings.model import Meeting


@dataclass(frozen=True, slots=True)
class LiveView:
    """A meeting's live state at one moment.

    Attributes:
        meeting_id: The meeting's number.
        meeting: Its own fields; None when nothing is known of it here.
        participants: Everyone in it, by join time.
        slots: What the slots of the asking participant carry.
        encodings: Which encodings of the asking participant's tracks are needed; of a track that is not named all are.
        dominant_speaker: Who speaks; empty: nobody.
        epoch: Fencing epoch that its participants know of; 0: none yet.
        ended: Whether it is over.
        empty_since: Since when nobody is in it; None when somebody is, or nobody ever was.
        cursor: Where the log goes on after this moment.
        operation: Result of the operation that was asked about; None: it was not done.
        unreadable: How many are in it whom this version can't read; they are not among the participants.
    """

    meeting_id: str
    meeting: Meeting | None
    participants: tuple[Participant, ...]
    slots: tuple[SlotAssignment, ...]
    encodings: tuple[TrackEncodings, ...]
    dominant_speaker: str
    epoch: int
    ended: bool
    empty_since: datetime | None
    cursor: str
    operation: str | None = None
    unreadable: int = 0

    @property
    def occupied(self) -> bool:
        """Whether anybody is in it."""
        return bool(self.participants) or self.unreadable > 0

    def participant(self, participant_id: str) -> Participant | None:
        """Returns somebody who is in the meeting."""
        return next((one for one in self.participants if one.id == participant_id), None)
