"""Work that nobody waits for: kept alive, logged when it fails, finished before the process ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from control_plane.kernel.errors import DomainError

_log = structlog.get_logger(__name__)


def stay_alive() -> None:
    """Lets a loop end that was cancelled while something in it took the cancellation for a broken connection.

    Raises:
        asyncio.CancelledError: The current task was cancelled.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Background:
    """Tasks of the process that belong to no call."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, what: str, work: Coroutine[Any, Any, object]) -> None:
        """Does work without anybody waiting; a failure is logged."""
        task = asyncio.create_task(_logged(what, work), name=what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self, seconds: float) -> None:
        """Waits for what is under way, and drops what takes longer."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(set(self._tasks), timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


async def _logged(what: str, work: Coroutine[Any, Any, object]) -> None:
    try:
        await work
    except DomainError as error:
        _log.warning("background work failed", work=what, reason=error.reason)
    except Exception:  # noqa: BLE001 -- nobody else would hear of it
        _log.exception("background work failed", work=what)
