"""A token bucket a caller, so that nobody can take a process for themselves."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc

from grpc_kit.errors import ServiceError
from grpc_kit.interceptors.base import Call, CallInterceptor


class TokenBuckets:
    """Token buckets by key, at most `capacity` of them: the one that was used longest ago makes place for a new one."""

    def __init__(
        self, rate: float, burst: float, *, capacity: int = 100_000, now: Callable[[], float] = time.monotonic
    ) -> None:
        """Each bucket holds `burst` tokens and gains `rate` a second."""
        self._rate = rate
        self._burst = burst
        self._capacity = capacity
        self._now = now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Take a token; return 0, or the seconds until there will be one."""
        now = self._now()
        level, since = self._buckets.pop(key, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._rate)
        wait = 0.0 if level >= 1.0 else (1.0 - level) / self._rate
        self._buckets[key] = (level - 1.0 if wait == 0.0 else level, now)
        if len(self._buckets) > self._capacity:
            self._buckets.popitem(last=False)
        return wait


class RateLimitInterceptor(CallInterceptor):
    """Refuses calls beyond a rate with RESOURCE_EXHAUSTED and a retry hint."""

    def __init__(self, buckets: TokenBuckets, key: Callable[[Call], str]) -> None:
        """`key` names whose call it is; empty: nobody's, which is not limited here."""
        self._buckets = buckets
        self._key = key

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Take a token for the call."""
        key = self._key(call)
        wait = self._buckets.take(key) if key else 0.0
        if wait > 0.0:
            raise ServiceError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "RATE_LIMITED",
                "Too many calls from here. Wait a moment.",
                retry_after=wait,
            )
        yield
