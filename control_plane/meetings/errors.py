"""Errors about meetings; see `parley.meeting.v1.ErrorReason` for what clients do about them."""

from __future__ import annotations

from control_plane.kernel.errors import DomainError, ErrorKind, invalid_argument, rate_limited


def meeting_not_found() -> DomainError:
    """There is no such meeting, or the caller may not know of it."""
    return DomainError(ErrorKind.NOT_FOUND, "MEETING_NOT_FOUND", "There is no such meeting.")


def meeting_ended() -> DomainError:
    """The meeting is over."""
    return DomainError(ErrorKind.FAILED_PRECONDITION, "MEETING_ENDED", "This meeting is over.")


def meeting_not_started() -> DomainError:
    """The meeting has not begun, and nobody may join before the host."""
    return DomainError(
        ErrorKind.FAILED_PRECONDITION, "MEETING_NOT_STARTED", "The host has not started this meeting yet."
    )


def meeting_state_conflict(state: str, event: str) -> DomainError:
    """The meeting's state doesn't allow what was asked."""
    return DomainError(
        ErrorKind.FAILED_PRECONDITION,
        "MEETING_STATE_CONFLICT",
        f"A meeting that is {state} can't take {event}.",
        metadata={"state": state, "event": event},
    )


def passcode_wrong(attempts_left: int) -> DomainError:
    """The passcode is wrong."""
    return DomainError(
        ErrorKind.PERMISSION_DENIED,
        "PASSCODE_WRONG",
        "The passcode is wrong.",
        metadata={"attempts_left": str(attempts_left)},
    )


def passcode_attempts_exceeded(retry_after: float) -> DomainError:
    """Too many wrong passcodes came from there."""
    return rate_limited(
        "Too many wrong passcodes. Wait before you try again.", retry_after, reason="PASSCODE_ATTEMPTS_EXCEEDED"
    )


def etag_mismatch() -> DomainError:
    """Somebody else was faster."""
    return DomainError(
        ErrorKind.ABORTED, "ETAG_MISMATCH", "The meeting was changed since its etag was read. Read it again."
    )


def update_mask_invalid(path: str) -> DomainError:
    """The mask names what can't be changed."""
    return invalid_argument("update_mask", f'"{path}" is unknown, or can\'t be changed', reason="UPDATE_MASK_INVALID")


def time_zone_unknown(path: str) -> DomainError:
    """The time zone is not in the IANA database."""
    return invalid_argument(path, "is not a time zone of the IANA database", reason="TIME_ZONE_UNKNOWN")


def meeting_type_not_supported(meeting_type: str) -> DomainError:
    """Meetings of this type can't be created yet."""
    return DomainError(
        ErrorKind.UNIMPLEMENTED,
        "MEETING_TYPE_NOT_SUPPORTED",
        f"Meetings of type {meeting_type} can't be created yet.",
        metadata={"type": meeting_type},
    )
