"""The node's callers: the control plane alone, by the deployment's node token."""

from __future__ import annotations

import hmac
from contextvars import ContextVar
from typing import Final, Literal

import grpc

from grpc_kit.errors import ServiceError

Caller = Literal["control_plane", "anybody"]
caller: ContextVar[Caller] = ContextVar("caller")

_OPEN: Final = ("/grpc.health.v1.", "/grpc.reflection.")


class NodeTokenAuthenticator:
    """Lets calls in that carry the node token; health and reflection need none."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def authenticate(self, method: str, token: str | None, peer: str) -> Caller:
        """Return who calls; raise when the token is missing or wrong."""
        del peer
        if method.startswith(_OPEN):
            return "anybody"
        if token is None:
            message = "This call needs the node token in `authorization: Bearer <token>`."
            raise ServiceError(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING", message)
        if not hmac.compare_digest(token.encode(), self._token):
            message = "The token is not this deployment's node token."
            raise ServiceError(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID", message)
        return "control_plane"
