"""Counting attempts in Redis, so that all replicas count together."""

from __future__ import annotations

from control_plane.application.ports import Attempt, Limit
from control_plane.redis_store import RedisClient, store_failures

_PREFIX = "attempts:"


class RedisAttempts:
    """A counter a key, which begins anew some time after its first attempt."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def count(self, key: str, limit: Limit) -> Attempt:
        """Counts an attempt before it is known whether it succeeds."""
        name = _PREFIX + key
        with store_failures():
            async with self._client.pipeline(transaction=True) as pipeline:
                pipeline.set(name, 0, ex=limit.seconds, nx=True)
                pipeline.incr(name)
                pipeline.pttl(name)
                _, count, remaining = await pipeline.execute()
        return Attempt(count <= limit.attempts, max(0, limit.attempts - count), max(remaining, 0) / 1000)

    async def forgive(self, key: str) -> None:
        """Takes back an attempt that has succeeded; a count that ended meanwhile stays at its end."""
        name = _PREFIX + key
        with store_failures():
            if await self._client.exists(name):
                await self._client.decr(name)
