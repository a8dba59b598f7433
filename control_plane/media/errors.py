"""What can be wrong with a media session."""

from __future__ import annotations

from collections.abc import Sequence

from control_plane.kernel.errors import DomainError, ErrorKind, FieldViolation


class MidUnknownError(DomainError):
    """The offer has no such slot or track."""

    def __init__(self, message: str, field_violations: Sequence[FieldViolation]) -> None:
        super().__init__(ErrorKind.INVALID_ARGUMENT, "MID_UNKNOWN", message, field_violations=field_violations)


def mid_unknown(path: str, mid: str) -> MidUnknownError:
    """The offer has no slot or track of this name at a field of the request."""
    violation = FieldViolation(path, f'the offer has no "{mid}" of this kind')
    return MidUnknownError(f"{path}: {violation.description}", (violation,))


def publish_not_allowed() -> DomainError:
    """The role sends no media."""
    return DomainError(ErrorKind.PERMISSION_DENIED, "PUBLISH_NOT_ALLOWED", "Your role in this meeting sends no media.")


def media_node_unavailable(retry_after: float = 1.0) -> DomainError:
    """The room's node does not answer."""
    return DomainError(
        ErrorKind.UNAVAILABLE,
        "MEDIA_NODE_UNAVAILABLE",
        "The meeting's media server does not answer at the moment. Try again shortly.",
        retry_after=retry_after,
    )
