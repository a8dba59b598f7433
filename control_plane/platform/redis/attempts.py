"""Counting attempts in Redis, so that all replicas count together: failures are limited, not successes."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from control_plane.kernel.clock import Clock, SystemClock
from control_plane.kernel.errors import DomainError, ErrorKind, rate_limited
from control_plane.platform.limits import Attempt, Guess, Guesser, Limit, SecretLimits
from control_plane.platform.redis.client import RedisClient, Script, milliseconds, store_failures

_PREFIX = "attempts:"

_AT_ONCE = 8
"""Attempts of one key under way at a time; others wait for their turn."""
_HOLD_MS = 15_000
"""An attempt of a process that died is under way no longer than this."""
_MOST_WAITING = 64
_WAIT_SECONDS = 10.0
_POLL_SECONDS = 0.05


@dataclass
class _Line:
    """Attempts of one key that wait in this process; the first of them asks Redis, the others stand behind it."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    length: int = 0


class Attempts:
    """Implements `Attempts`."""

    def __init__(self, client: RedisClient, clock: Clock | None = None) -> None:
        self._client = client
        self._clock = clock or SystemClock()
        self._bucket = Script.load(client, "control_plane.platform.redis", "bucket")
        self._guess = Script.load(client, "control_plane.platform.redis", "guess")
        self._lines: dict[str, _Line] = {}

    async def count(self, key: str, limit: Limit) -> Attempt:
        """Counts an attempt, whatever comes of it."""
        status, left, wait = await self._change(key, limit, "take", "")
        return Attempt(status == "ok", left, wait / 1000)

    @asynccontextmanager
    async def attempt(self, limits: Mapping[str, Limit]) -> AsyncIterator[None]:
        """Keeps an attempt's place under limits while it is made; it is counted if the block raises UNAUTHENTICATED.

        Raises:
            DomainError: RATE_LIMITED.
        """
        async with AsyncExitStack() as stack:
            for key, limit in limits.items():
                await stack.enter_async_context(self._place(key, limit))
            yield

    async def guess(self, secret: str, guesser: Guesser, limits: SecretLimits, *, right: bool | None) -> Guess:
        """Counts a guess unless it is right, or none (None), and says whether it may be answered."""
        base = f"{_PREFIX}{{{secret}}}:"
        own = {f"by:{name}": limit for name, limit in guesser.limits.items()}
        buckets = {"first": limits.first, "again": limits.again, **own}
        keys = [f"{base}known:{guesser.name}", f"{base}failed:{guesser.name}", f"{base}told"]
        keys += [base + name for name in buckets]
        outcome = "none" if right is None else "right" if right else "wrong"
        arguments: list[str | int | float] = [self._now(), outcome, limits.memory_seconds * 1000]
        arguments += [limits.tell_after, limits.tell_seconds * 1000]
        for limit in buckets.values():
            arguments.extend((_gap(limit), limit.attempts))
        status, left, wait, failures = await self._guess(keys, arguments)
        return Guess(status != "refused", left, wait / 1000, failures)

    async def remember(self, key: str, seconds: int) -> None:
        """Remembers something for a while."""
        with store_failures():
            await self._client.set(f"{_PREFIX}{key}", "1", ex=seconds)

    async def remembers(self, key: str) -> bool:
        """Whether something is remembered."""
        with store_failures():
            return bool(await self._client.exists(f"{_PREFIX}{key}"))

    @asynccontextmanager
    async def _place(self, key: str, limit: Limit) -> AsyncIterator[None]:
        attempt = uuid.uuid4().hex
        await self._wait_for_place(key, limit, attempt)
        ending = "over"
        try:
            yield
        except DomainError as error:
            ending = "failed" if error.kind is ErrorKind.UNAUTHENTICATED else "over"
            raise
        finally:
            # Before anybody is told how it ended: an answer that could not be counted is not given.
            await self._change(key, limit, ending, attempt)

    async def _wait_for_place(self, key: str, limit: Limit, attempt: str) -> None:
        """Many right attempts at once are more than may be under way, and none of them is refused: they take turns."""
        line = self._lines.setdefault(key, _Line())
        if line.length >= _MOST_WAITING:
            raise _busy()
        line.length += 1
        try:
            async with asyncio.timeout(_WAIT_SECONDS), line.turn:
                while await self._open(key, limit, attempt) == "busy":  # noqa: ASYNC110 - what ends it is in Redis
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError as error:
            raise _busy() from error
        finally:
            line.length -= 1
            if line.length == 0:
                self._lines.pop(key, None)

    async def _open(self, key: str, limit: Limit, attempt: str) -> str:
        status, _, wait = await self._change(key, limit, "open", attempt)
        if status == "refused":
            raise rate_limited("Too many attempts. Wait before you try again.", wait / 1000)
        return status

    async def _change(self, key: str, limit: Limit, action: str, attempt: str) -> tuple[str, int, int]:
        keys = [f"{_PREFIX}{{{key}}}", f"{_PREFIX}{{{key}}}:open"]
        arguments = (action, self._now(), _gap(limit), limit.attempts, attempt, _HOLD_MS, _AT_ONCE)
        status, left, wait = await self._bucket(keys, arguments)
        return status, left, wait

    def _now(self) -> int:
        return milliseconds(self._clock.now())


def _gap(limit: Limit) -> int:
    return math.ceil(limit.seconds * 1000 / limit.attempts)


def _busy() -> DomainError:
    return rate_limited("Too many attempts at once. Try again in a moment.", 1.0)
