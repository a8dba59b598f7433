"""Why somebody can't come in."""

from __future__ import annotations

from control_plane.kernel.errors import DomainError, ErrorKind, QuotaViolation


def meeting_full(meeting_id: str, limit: int) -> DomainError:
    """The meeting takes no more people."""
    return DomainError(
        ErrorKind.RESOURCE_EXHAUSTED,
        "MEETING_FULL",
        f"The meeting is full: it takes {limit} people.",
        metadata={"max_participants": str(limit)},
        quota=QuotaViolation(f"meetings/{meeting_id}", f"at most {limit} participants at a time"),
    )


def joined_too_often(limit: int) -> DomainError:
    """One user or guest is in the meeting with too many devices."""
    return DomainError(
        ErrorKind.RESOURCE_EXHAUSTED,
        "JOINED_TOO_OFTEN",
        f"You are in this meeting {limit} times already. Leave it on another device first.",
        metadata={"limit": str(limit)},
    )
