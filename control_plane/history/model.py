"""Somebody's time in a meeting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from control_plane.log.participant import LeaveReason, Participant


@dataclass(frozen=True, slots=True)
class Stay:
    """Somebody's time in a meeting, for the history in the database; `leave_time` is None while they are in it."""

    meeting_id: str
    participant: Participant
    leave_time: datetime | None = None
    reason: LeaveReason | None = None


class StayRepository(Protocol):
    """The history of who was in which meeting."""

    async def record(self, stays: Sequence[Stay]) -> None:
        """Writes stays; writing one twice, or its end before its beginning, comes to the same.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        ...
