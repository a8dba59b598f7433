"""Deadlines are honoured: work stops when the caller no longer waits, and no unary call runs for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from grpc_kit.errors import ServiceError
from grpc_kit.interceptors.base import Call, CallInterceptor


class DeadlineInterceptor(CallInterceptor):
    """Ends a unary call at the caller's deadline, or at the server's own limit where the caller set none."""

    def __init__(self, longest_seconds: float = 30.0) -> None:
        self._longest = longest_seconds

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Bound the time of a unary call; streams live as long as their caller wants."""
        if call.streams_response:
            yield
            return
        remaining = call.context.time_remaining()
        limit = self._longest if remaining is None else min(float(remaining), self._longest)
        try:
            async with asyncio.timeout(limit):
                yield
        except TimeoutError as error:
            raise ServiceError(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                "DEADLINE_EXCEEDED",
                "The call took too long and was given up. Call again with the same request_id.",
            ) from error
