"""What is known of somebody who comes in."""

from __future__ import annotations

from dataclasses import dataclass

from control_plane.log.participant import Participant
from control_plane.log.slots import SlotAssignment
from control_plane.meetings.model import Meeting


@dataclass(frozen=True, slots=True)
class Joining:
    """Somebody whose media session is open and who is to be in the meeting now.

    Attributes:
        meeting: The meeting as it is now.
        participant: Who they are.
        slots: What their slots carried when the session was opened.
        epoch: Fencing epoch of the room.
        operation: Id of the operation; a retry has the same.
        fingerprint: What the operation was about; kept as its result.
    """

    meeting: Meeting
    participant: Participant
    slots: tuple[SlotAssignment, ...]
    epoch: int
    operation: str
    fingerprint: str
