"""What can be wrong with a placement."""

from __future__ import annotations

from control_plane.kernel.errors import DomainError, ErrorKind


def no_media_node(retry_after: float = 2.0) -> DomainError:
    """No media node can take the room now."""
    return DomainError(
        ErrorKind.UNAVAILABLE,
        "NO_MEDIA_NODE",
        "No media server can take this meeting at the moment. Try again shortly.",
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
