"""What can be wrong with a command to a meeting's live state."""

from __future__ import annotations

from control_plane.kernel.errors import DomainError, ErrorKind


class ParticipantNotFoundError(DomainError):
    """The participant is not in the meeting any more."""

    def __init__(self) -> None:
        super().__init__(ErrorKind.NOT_FOUND, "PARTICIPANT_NOT_FOUND", "You are no longer in this meeting. Join again.")


def cursor_invalid() -> DomainError:
    """The cursor is none of this meeting's."""
    return DomainError(ErrorKind.OUT_OF_RANGE, "CURSOR_INVALID", "The cursor is none of this meeting's.")


class StaleJoinError(Exception):
    """What a join was built on is no longer so: its place was kept too long, or the room has moved. Try it again.

    Attributes:
        outdated: The placement is no longer the room's.
    """

    def __init__(self, *, outdated: bool) -> None:
        self.outdated = outdated
        super().__init__("the room has moved" if outdated else "the place was kept too long")
