"""Supervised tasks: what a process does again and again, kept going, with faults that operators can see.

A turn that fails is counted and logged, and the next one follows after a back-off, for ever. A store that is away is no
fault of the task and does not count against its health; it is tried again sooner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from control_plane.kernel.errors import DomainError, ErrorKind
from control_plane.platform.background import stay_alive
from control_plane.platform.observer import Observer

_log = structlog.get_logger(__name__)
_FIRST_BACK_OFF: Final = 0.1
_LONGEST_BACK_OFF: Final = 5.0
_LONGEST_OUTAGE_BACK_OFF: Final = 1.0
_LONGEST_TURN: Final = 120.0
"""Seconds after which a turn is taken to hang: it is cancelled and counts as a fault."""

_LONGEST_TELLING: Final = 5.0

HealthListener = Callable[[str, bool], Awaitable[None]]


@dataclass(slots=True)
class _Task:
    name: str
    work: Callable[[], Awaitable[object]]
    pause: float
    faults: int = 0
    outages: int = 0


class Tasks:
    """The tasks of one part of a process. A turn of each ends by itself; only the supervisor repeats."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._tasks: list[_Task] = []
        self._running: list[asyncio.Task[None]] = []
        self._listeners: list[HealthListener] = []

    def add(self, name: str, work: Callable[[], Awaitable[object]], *, pause: float) -> None:
        """Adds a task: `work` is one turn, and `pause` the seconds between a good turn and the next."""
        self._tasks.append(_Task(name, work, pause))

    def on_health(self, listener: HealthListener) -> None:
        """Has a listener told whenever a task becomes healthy or unhealthy, and of each task when it starts."""
        self._listeners.append(listener)

    def start(self) -> list[asyncio.Task[None]]:
        """Starts all tasks; returns them under their names."""
        self._running = [asyncio.create_task(self._supervise(task), name=task.name) for task in self._tasks]
        return self._running

    async def stop(self) -> None:
        """Cancels all tasks and waits until they have ended."""
        for running in self._running:
            running.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    @property
    def faults(self) -> Mapping[str, int]:
        """Turns in a row that failed by a fault, for each task; 0: it is healthy."""
        return {task.name: task.faults for task in self._tasks}

    async def _supervise(self, task: _Task) -> None:
        await self._tell(task)
        while True:
            stay_alive()
            await asyncio.sleep(await self._turn(task))

    async def _turn(self, task: _Task) -> float:
        """Does one turn; returns the seconds until the next."""
        try:
            async with asyncio.timeout(_LONGEST_TURN):
                await task.work()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 -- a task outlives its faults
            stay_alive()  # else it is something in the turn that was cancelled, not the task
            if isinstance(error, DomainError) and error.kind is ErrorKind.UNAVAILABLE:
                return self._held_up(task, error)
            return await self._failed(task, error)
        recovered, task.faults, task.outages = task.faults > 0, 0, 0
        if recovered:
            _log.info("task works again", task=task.name)
            await self._tell(task)
        return task.pause

    def _held_up(self, task: _Task, error: DomainError) -> float:
        task.outages += 1
        if task.outages == 1:  # a store that is away says so once, not once a turn
            _log.warning("task is held up", task=task.name, reason=error.reason)
        return _back_off(task.outages, _LONGEST_OUTAGE_BACK_OFF)

    async def _failed(self, task: _Task, error: BaseException) -> float:
        task.faults += 1
        self._observer.task_failed(task.name, type(error).__name__)
        if task.faults == 1:
            _log.error("task failed, starting it again", task=task.name, exc_info=error)
            await self._tell(task)
        return _back_off(task.faults, _LONGEST_BACK_OFF)

    async def _tell(self, task: _Task) -> None:
        healthy = task.faults == 0
        self._observer.task_healthy(task.name, healthy=healthy)
        for listener in self._listeners:
            try:
                async with asyncio.timeout(_LONGEST_TELLING):
                    await listener(task.name, healthy)
            except Exception:  # noqa: BLE001 -- who can't be told ends no task
                _log.exception("health of a task not told", task=task.name, healthy=healthy)


def _back_off(failures: int, longest: float) -> float:
    return float(min(longest, _FIRST_BACK_OFF * 2 ** min(failures - 1, 10)))
