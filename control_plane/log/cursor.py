"""Cursors: where in which meeting's log a watcher is. Opaque to clients, checked when they come back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from control_plane.log.errors import cursor_invalid

_PATTERN: Final = re.compile(r"1\.([1-9][0-9]{10})\.([0-9a-f]{8})\.([0-9]{1,16})-([0-9]{1,10})")
BEGINNING: Final = "0-0"


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a log.

    Attributes:
        meeting_id: Whose log.
        generation: Which log of this meeting: another one begins when Redis has lost the first.
        position: Stream id of the last entry before this place.
    """

    meeting_id: str
    generation: str
    position: str

    def __str__(self) -> str:
        return f"1.{self.meeting_id}.{self.generation}.{self.position}"


def parse(text: str, meeting_id: str) -> Cursor:
    """Returns the cursor that a client gave back.

    Raises:
        DomainError: CURSOR_INVALID: it is no cursor, or another meeting's.
    """
    match = _PATTERN.fullmatch(text)
    if match is None or match[1] != meeting_id:
        raise cursor_invalid()
    return Cursor(match[1], match[2], f"{int(match[3])}-{int(match[4])}")


def order(position: str) -> tuple[int, int]:
    """Returns what stream ids are ordered by."""
    time, _, count = position.partition("-")
    return int(time), int(count)
