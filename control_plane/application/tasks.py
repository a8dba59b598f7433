"""Supervised tasks: what a process does again and again, kept going, with faults that operators can see.

A turn that fails is counted and logged, and the next one follows after a back-off, for ever. A store that is away is no
fault of the task and does not count against its health; it is tried again sooner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from control_plane.application.background import stay_alive
from control_plane.domain.errors import DomainError

_log = structlog.get_logger(__name__)
_FIRST_BACK_OFF: Final = 0.1
_LONGEST_BACK_OFF: Final = 5.0
_LONGEST_OUTAGE_BACK_OFF: Final = 1.0
_LONGEST_TURN: Final = 120.0
"""Seconds after which a turn is taken to hang: it is cancelled and counts as a fault."""

HealthListener = Callable[[str, bool], Awaitable[None]]


class TaskObserver(Protocol):
    """Measures tasks."""

    def task_healthy(self, name: str, *, healthy: bool) -> None:
        """Whether a task's last turn ended without a fault."""
        ...

    def task_failed(self, name: str, fault: str) -> None:
        """A turn of a task failed by a fault, named by its type."""
        ...


@dataclass(slots=True)
class _Task:
    name: str
    work: Callable[[], Awaitable[object]]
    pause: float
    faults: int = 0
    outages: int = 0


class Tasks:
    """The tasks of one part of a process. A turn of each ends by itself; only the supervisor repeats."""

    def __init__(self, observer: TaskObserver) -> None:
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
        except DomainError as error:
            task.outages += 1
            if task.outages == 1:  # a store that is away says so once, not once a turn
                _log.warning("task is held up", task=task.name, reason=error.reason)
            return _back_off(task.outages, _LONGEST_OUTAGE_BACK_OFF)
        except Exception as error:  # noqa: BLE001 -- a task outlives its faults
            task.faults += 1
            self._observer.task_failed(task.name, type(error).__name__)
            if task.faults == 1:
                _log.exception("task failed, starting it again", task=task.name)
                await self._tell(task)
            return _back_off(task.faults, _LONGEST_BACK_OFF)
        recovered, task.faults, task.outages = task.faults > 0, 0, 0
        if recovered:
            _log.info("task works again", task=task.name)
            await self._tell(task)
        return task.pause

    async def _tell(self, task: _Task) -> None:
        healthy = task.faults == 0
        self._observer.task_healthy(task.name, healthy=healthy)
        for listener in self._listeners:
            await listener(task.name, healthy)


def _back_off(failures: int, longest: float) -> float:
    return float(min(longest, _FIRST_BACK_OFF * 2 ** min(failures - 1, 10)))
