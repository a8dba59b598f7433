"""Who is calling, and whether they may: asked before anything of the request is looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Final, Generic, Protocol, TypeVar

import grpc

from grpc_kit.access import NOBODY, PUBLIC_SERVICES, Decision, Holder, decide, read_access
from grpc_kit.errors import ServiceError
from grpc_kit.interceptors.base import Call, CallInterceptor
from parley.options.v1.access_pb2 import TOKEN_USE_IGNORED, Access, MeetingRole

CallerT = TypeVar("CallerT")

_PUBLIC: Final = Access(token=TOKEN_USE_IGNORED)


class Authenticator(Protocol[CallerT]):
    """Knows who holds a token."""

    def nobody(self, peer: str) -> CallerT:
        """Return the caller of a call without a token, or whose token is not looked at."""
        ...

    def verify(self, token: str, peer: str) -> tuple[CallerT, Holder]:
        """Return who holds a token, and what it says of them; raise when it isn't good."""
        ...

    async def confirm(self, caller: CallerT) -> None:
        """Raise when a store knows that the caller's token isn't good any more; asked only of who else may call."""
        ...


class AuthInterceptor(CallInterceptor, Generic[CallerT]):
    """Lets in whom the contract's access option names, and keeps the caller in a context variable for the servicer."""

    def __init__(self, authenticator: Authenticator[CallerT], caller: ContextVar[CallerT]) -> None:
        self._authenticator = authenticator
        self._caller = caller
        self._access: Mapping[str, Access] = {}

    def bind(self, services: Sequence[str]) -> None:
        """Read who may call what; AccessError when the contract of an RPC doesn't say it."""
        self._access = read_access(services)

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Set the caller for the time of the call."""
        self._caller.set(await self._authenticate(call))
        yield

    async def _authenticate(self, call: Call) -> CallerT:
        access, token = self._access_to(call.method), call.bearer_token
        if access.token == TOKEN_USE_IGNORED or token is None:
            _check(decide(access, NOBODY), access)
            return self._authenticator.nobody(call.peer)
        caller, holder = self._authenticator.verify(token, call.peer)
        _check(decide(access, holder), access)
        await self._authenticator.confirm(caller)
        return caller

    def _access_to(self, method: str) -> Access:
        if method.split("/")[1] in PUBLIC_SERVICES:
            return _PUBLIC
        access = self._access.get(method)
        if access is None:
            raise _denied("This call is served to nobody.")
        return access


def _check(decision: Decision, access: Access) -> None:
    match decision:
        case Decision.ALLOWED:
            return
        case Decision.TOKEN_MISSING:
            text = "This call needs a token in `authorization: Bearer <token>`."
            raise ServiceError(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING", text)
        case Decision.KIND_NOT_ALLOWED:
            text = "This kind of token can't be used for this call."
            raise ServiceError(grpc.StatusCode.PERMISSION_DENIED, "TOKEN_KIND_NOT_ALLOWED", text)
        case Decision.ROLE_NOT_ALLOWED:
            raise _denied(f"Only a {_names(access.roles)} of the meeting may do this.")
        case Decision.WAITING:
            raise _denied("You may do this once you have been let in.")
        case Decision.RESTRICTED:
            raise _denied("You may not do this at the moment.")


def _names(roles: Sequence[MeetingRole.ValueType]) -> str:
    names = [MeetingRole.Name(role).removeprefix("MEETING_ROLE_").replace("_", "-").lower() for role in roles]
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _denied(message: str) -> ServiceError:
    return ServiceError(grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED", message)
