"""Who is calling: asked before anything of the request is looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Generic, Protocol, TypeVar

from grpc_kit.interceptors.base import Call, CallInterceptor

CallerT = TypeVar("CallerT")
CallerT_co = TypeVar("CallerT_co", covariant=True)


class Authenticator(Protocol[CallerT_co]):
    """Decides whether somebody may make a call at all."""

    async def authenticate(self, method: str, token: str | None, peer: str) -> CallerT_co:
        """Return who calls `method` with `token` from `peer`; raise when that kind of caller may not call it."""
        ...


class AuthInterceptor(CallInterceptor, Generic[CallerT]):
    """Authenticates each call and keeps the result in a context variable for the servicer."""

    def __init__(self, authenticator: Authenticator[CallerT], caller: ContextVar[CallerT]) -> None:
        self._authenticator = authenticator
        self._caller = caller

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Set the caller for the time of the call."""
        self._caller.set(await self._authenticator.authenticate(call.method, call.bearer_token, call.peer))
        yield
