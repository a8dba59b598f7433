"""What can be wrong with a media session."""

from __future__ import annotations

from control_plane.kernel.errors import DomainError, ErrorKind, invalid_argument


def mid_unknown(path: str, mid: str) -> DomainError:
    """The offer has no such slot or track."""
    return invalid_argument(path, f'the offer has no "{mid}" of this kind', reason="MID_UNKNOWN")


def publish_not_allowed() -> DomainError:
    """The role sends no media."""
    return DomainError(ErrorKind.PERMISSION_DENIED, "PUBLISH_NOT_ALLOWED", "Your role in this meeting sends no media.")


def request_id_reused() -> DomainError:
    """The request id was used for something else."""
    return DomainError(
        ErrorKind.ABORTED, "REQUEST_ID_REUSED", "This request_id was used before for a different request."
    )


def media_node_unavailable(retry_after: float = 1.0) -> DomainError:
    """The room's node does not answer."""
    return DomainError(
        ErrorKind.UNAVAILABLE,
        "MEDIA_NODE_UNAVAILABLE",
        "The meeting's media server does not answer at the moment. Try again shortly.",
        retry_after=retry_after,
    )
