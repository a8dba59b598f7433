"""What can be wrong with a placement."""

from __future__ import annotations

from typing import Final

from control_plane.kernel.errors import DomainError, ErrorKind

_RETRY_AFTER: Final = 2.0


class NoMediaNodeError(DomainError):
    """No media node can take the room now."""

    def __init__(self) -> None:
        super().__init__(
            ErrorKind.UNAVAILABLE,
            "NO_MEDIA_NODE",
            "No media server can take this meeting at the moment. Try again shortly.",
            retry_after=_RETRY_AFTER,
        )


class NoNodeAvailableError(DomainError):
    """No node is active and has room (for operators; participants get NO_MEDIA_NODE)."""

    def __init__(self) -> None:
        super().__init__(
            ErrorKind.UNAVAILABLE,
            "NO_NODE_AVAILABLE",
            "No media node is active and has room.",
            retry_after=_RETRY_AFTER,
        )


def placement_not_found() -> DomainError:
    """The room is placed nowhere."""
    return DomainError(ErrorKind.NOT_FOUND, "PLACEMENT_NOT_FOUND", "The room is placed nowhere.")


class EpochMismatchError(DomainError):
    """The epoch given is not the placement's."""

    def __init__(self, current: int) -> None:
        super().__init__(
            ErrorKind.ABORTED,
            "EPOCH_MISMATCH",
            "The room's placement has another epoch.",
            metadata={"epoch": str(current)},
        )
