"""The node's callers: the control plane alone, by the deployment's node token."""

from __future__ import annotations

import hmac
from contextvars import ContextVar
from typing import Literal

import grpc

from grpc_kit.access import Holder
from grpc_kit.errors import ServiceError
from parley.options.v1.access_pb2 import TOKEN_KIND_NODE

Caller = Literal["control_plane", "anybody"]
caller: ContextVar[Caller] = ContextVar("caller")


class NodeTokenAuthenticator:
    """Knows the node token and no other; the contract says what needs it."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def nobody(self, peer: str) -> Caller:
        """Return the caller of a call without a token."""
        del peer
        return "anybody"

    def verify(self, token: str, peer: str) -> tuple[Caller, Holder]:
        """Return who holds a token; TOKEN_INVALID unless it is this deployment's node token."""
        del peer
        if not hmac.compare_digest(token.encode(), self._token):
            message = "The token is not this deployment's node token."
            raise ServiceError(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID", message)
        return "control_plane", Holder(TOKEN_KIND_NODE)

    async def confirm(self, caller: Caller) -> None:
        """Do nothing: the node token is good until it is changed."""
