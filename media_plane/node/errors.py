"""Why a node refuses a command, and how that is said on the wire (`parley.sfu.v1.ErrorReason`)."""

from __future__ import annotations

from typing import Final

import grpc

from grpc_kit.errors import FieldViolation, ServiceError
from media_plane.node.sdp import SdpError, SdpInvalidError


class NodeError(Exception):
    """A command that the node refuses; subclasses say why."""

    reason = ""
    code: grpc.StatusCode
    field: str = ""


class EpochStaleError(NodeError):
    """The command's epoch is older than one the node has seen for the room."""

    reason = "EPOCH_STALE"
    code = grpc.StatusCode.FAILED_PRECONDITION


class RoomNotFoundError(NodeError):
    """The room is not open here."""

    reason = "ROOM_NOT_FOUND"
    code = grpc.StatusCode.NOT_FOUND


class SessionNotFoundError(NodeError):
    """The room has no such session."""

    reason = "SESSION_NOT_FOUND"
    code = grpc.StatusCode.NOT_FOUND


class MidUnknownError(NodeError):
    """The session has no such slot or track."""

    reason = "MID_UNKNOWN"
    code = grpc.StatusCode.INVALID_ARGUMENT

    def __init__(self, *, field: str, index: int | None, what: str) -> None:
        """Say which `mid` of the request is unknown: that of the message `field`, or of its element `index`."""
        self.field = f"{field}.mid" if index is None else f"{field}[{index}].mid"
        super().__init__(f"{self.field}: the session has no such {what}.")


class NodeFullError(NodeError):
    """The node holds as many sessions as it takes."""

    reason = "NODE_FULL"
    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class NodeDrainingError(NodeError):
    """The node is draining and takes no new rooms."""

    reason = "NODE_DRAINING"
    code = grpc.StatusCode.UNAVAILABLE


class ShardUnavailableError(NodeError):
    """The shards that could serve the room have failed and are being started anew."""

    reason = "SHARD_UNAVAILABLE"
    code = grpc.StatusCode.UNAVAILABLE


_RETRY_SECONDS: Final = {"NODE_FULL": 5.0, "NODE_DRAINING": 1.0, "SHARD_UNAVAILABLE": 1.0}


def to_service_error(error: Exception) -> ServiceError | None:
    """Return the answer that an error of the node becomes; None: it is none of the node's."""
    if isinstance(error, SdpError):
        reason = "SDP_INVALID" if isinstance(error, SdpInvalidError) else "SDP_NOT_ACCEPTABLE"
        violation = FieldViolation("sdp_offer", str(error))
        return ServiceError(
            grpc.StatusCode.INVALID_ARGUMENT, reason, f"The offer can't be used: {error}.", field_violations=[violation]
        )
    if not isinstance(error, NodeError):
        return None
    message = str(error) or (error.__doc__ or "")
    violations = [FieldViolation(error.field, message)] if error.field else []
    return ServiceError(
        error.code, error.reason, message, field_violations=violations, retry_after=_RETRY_SECONDS.get(error.reason)
    )
