"""Errors about being in a meeting and about placement; the contracts' `ErrorReason` say what clients do about them."""

from __future__ import annotations

from control_plane.domain.errors import DomainError, ErrorKind, QuotaViolation, invalid_argument


def participant_not_found() -> DomainError:
    """The participant is not in the meeting any more."""
    return DomainError(ErrorKind.NOT_FOUND, "PARTICIPANT_NOT_FOUND", "You are no longer in this meeting. Join again.")


def cursor_invalid() -> DomainError:
    """The cursor is none of this meeting's."""
    return DomainError(ErrorKind.OUT_OF_RANGE, "CURSOR_INVALID", "The cursor is none of this meeting's.")


def mid_unknown(path: str, mid: str) -> DomainError:
    """The offer has no such slot or track."""
    return invalid_argument(path, f'the offer has no "{mid}" of this kind', reason="MID_UNKNOWN")


def publish_not_allowed() -> DomainError:
    """The role sends no media."""
    return DomainError(ErrorKind.PERMISSION_DENIED, "PUBLISH_NOT_ALLOWED", "Your role in this meeting sends no media.")


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


def request_id_reused() -> DomainError:
    """The request id was used for something else."""
    return DomainError(
        ErrorKind.ABORTED, "REQUEST_ID_REUSED", "This request_id was used before for a different request."
    )


def no_media_node(retry_after: float = 2.0) -> DomainError:
    """No media node can take the room now."""
    return DomainError(
        ErrorKind.UNAVAILABLE,
        "NO_MEDIA_NODE",
        "No media server can take this meeting at the moment. Try again shortly.",
        retry_after=retry_after,
    )


def media_node_unavailable(retry_after: float = 1.0) -> DomainError:
    """The room's node does not answer."""
    return DomainError(
        ErrorKind.UNAVAILABLE,
        "MEDIA_NODE_UNAVAILABLE",
        "The meeting's media server does not answer at the moment. Try again shortly.",
        retry_after=retry_after,
    )


def no_node_available(retry_after: float = 2.0) -> DomainError:
    """No node is active and has room (for operators; participants get NO_MEDIA_NODE)."""
    return DomainError(
        ErrorKind.UNAVAILABLE, "NO_NODE_AVAILABLE", "No media node is active and has room.", retry_after=retry_after
    )


def placement_not_found() -> DomainError:
    """The room is placed nowhere."""
    return DomainError(ErrorKind.NOT_FOUND, "PLACEMENT_NOT_FOUND", "The room is placed nowhere.")


def epoch_mismatch(current: int) -> DomainError:
    """The epoch given is not the placement's."""
    return DomainError(
        ErrorKind.ABORTED,
        "EPOCH_MISMATCH",
        "The room's placement has another epoch.",
        metadata={"epoch": str(current)},
    )
