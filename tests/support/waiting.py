"""Waiting for something to come true, with a deadline and a story when it does not."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

_PAUSE_SECONDS = 0.05


async def until(
    probe: Callable[[], Awaitable[T]], accept: Callable[[T], object] = bool, *, within: float = 15, what: str = ""
) -> T:
    """Call `probe` until `accept` likes its result, and return that result.

    Raises:
        AssertionError: nothing acceptable came within the given seconds; says what was last seen.
    """
    deadline = time.monotonic() + within
    while True:
        seen = await probe()
        if accept(seen):
            return seen
        if time.monotonic() > deadline:
            message = f"not within {within} s: {what or probe.__name__}; last seen: {seen!r}"
            raise AssertionError(message)
        await asyncio.sleep(_PAUSE_SECONDS)


def call_of(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Callable[[], Awaitable[T]]:
    """Make a probe of a plain function and its arguments."""

    async def probe() -> T:
        return function(*args, **kwargs)

    return probe
