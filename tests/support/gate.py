"""Two things at once, in an order that a test sets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest


class Gate:
    """Holds up one method of one replica before or after what it does, until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, *, after: bool = False) -> None:
        self.reached = asyncio.Event()
        self._open = asyncio.Event()
        method: Callable[..., Awaitable[object]] = getattr(owner, name)

        async def held(*arguments: object, **options: object) -> object:
            result = await method(*arguments, **options) if after else None
            self.reached.set()
            await self._open.wait()
            return result if after else await method(*arguments, **options)

        monkeypatch.setattr(owner, name, held)

    def open(self) -> None:
        self._open.set()
