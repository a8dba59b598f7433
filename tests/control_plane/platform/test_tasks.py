"""Supervised tasks: whatever a turn does, another follows, and the fault is seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from control_plane.kernel.errors import permission_denied, store_unavailable
from control_plane.platform import tasks as tasks_module
from control_plane.platform.tasks import Tasks
from tests.support.live import QuietObserver, eventually


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks_module, "_FIRST_BACK_OFF", 0.0)


async def supervised(
    work: Callable[[], object], until: Callable[[Tasks], bool]
) -> tuple[Tasks, QuietObserver, list[object]]:
    observer, health = QuietObserver(), list[object]()
    tasks = Tasks(observer)

    async def turn() -> None:
        work()

    async def listen(name: str, healthy: bool) -> None:  # noqa: FBT001 - a listener
        health.append((name, healthy))

    tasks.add("work", turn, pause=0.0)
    tasks.on_health(listen)
    (running,) = tasks.start()
    await eventually(lambda: until(tasks))
    assert not running.done()
    await tasks.stop()
    assert running.cancelled()
    return tasks, observer, health


async def test_a_fault_is_counted_shown_and_followed_by_another_turn() -> None:
    turns = iter([KeyError("k"), KeyError("k"), None, None])
    done: list[None] = []

    def work() -> None:
        fault = next(turns, None)
        if fault is not None:
            raise fault
        done.append(None)

    _, observer, health = await supervised(work, lambda _: len(done) > 2)

    assert health == [("work", True), ("work", False), ("work", True)]
    assert observer.counts["work failed by KeyError"] == 2
    assert observer.healthy == {"work": True}


async def test_a_task_that_goes_on_failing_goes_on_being_tried() -> None:
    def work() -> None:
        raise ZeroDivisionError

    tasks, observer, health = await supervised(work, lambda tasks: tasks.faults["work"] >= 5)

    assert tasks.faults["work"] >= 5
    assert observer.healthy == {"work": False}
    assert health[1:] == [("work", False)], "it is told once"


async def test_a_store_that_is_away_is_no_fault_of_the_task() -> None:
    count: list[None] = []

    def work() -> None:
        count.append(None)
        raise store_unavailable("database")

    tasks, _, health = await supervised(work, lambda _: len(count) >= 5)

    assert tasks.faults == {"work": 0}
    assert health == [("work", True)]


@pytest.mark.parametrize("fault", [asyncio.CancelledError(), permission_denied()])
async def test_whatever_else_ends_a_turn_is_a_fault(fault: BaseException) -> None:
    """Something that the turn waited for was cancelled, say; it is not the task that was."""

    def work() -> None:
        raise fault

    _, observer, _ = await supervised(work, lambda tasks: tasks.faults["work"] >= 3)

    assert observer.counts[f"work failed by {type(fault).__name__}"] >= 3


async def test_a_listener_that_fails_or_hangs_ends_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks_module, "_LONGEST_TELLING", 0.01)
    told: list[bool] = []
    tasks = Tasks(QuietObserver())

    async def work() -> None:
        raise ZeroDivisionError

    async def failing(_name: str, _healthy: bool) -> None:  # noqa: FBT001 - a listener
        raise LookupError

    async def hanging(_name: str, _healthy: bool) -> None:  # noqa: FBT001 - a listener
        await asyncio.Event().wait()

    async def listen(_name: str, healthy: bool) -> None:  # noqa: FBT001 - a listener
        told.append(healthy)

    tasks.add("work", work, pause=0.0)
    for listener in (failing, hanging, listen):
        tasks.on_health(listener)
    (running,) = tasks.start()
    await eventually(lambda: tasks.faults["work"] >= 3 or running.done())
    assert not running.done()
    await tasks.stop()

    assert told == [True, False]


async def test_a_turn_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks_module, "_LONGEST_TURN", 0.01)
    observer = QuietObserver()
    tasks = Tasks(observer)
    tasks.add("work", asyncio.Event().wait, pause=0.0)
    tasks.start()
    await eventually(lambda: tasks.faults["work"] >= 2)
    await tasks.stop()

    assert observer.counts["work failed by TimeoutError"] >= 2


def test_the_back_off_grows_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    pauses = [tasks_module._back_off(count, 5.0) for count in range(1, 2000)]

    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert max(pauses) == pauses[-1] == 5.0
