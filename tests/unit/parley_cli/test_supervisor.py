"""What the supervisor does as parts start, die and come back; the clock is the test's."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from parley_cli.errors import CommandError
from parley_cli.parts import Command, Part
from parley_cli.up.supervisor import Supervised, Supervisor


class FakeProcess:
    def __init__(self) -> None:
        self.status: int | None = None
        self.tail = ["READY {}", "all went well", "it broke"]

    def poll(self) -> int | None:
        return self.status

    def ask_to_stop(self) -> None:
        self.status = 0

    def force(self) -> None:
        self.status = -9


class FakeWatch:
    def __init__(self) -> None:
        self.complaint = ""
        self.ended = False

    def end(self) -> None:
        self.ended = True


class FakePart(Part):
    def __init__(self, name: str, diary: list[str]) -> None:
        super().__init__()
        self.name = name
        self.diary = diary
        self.serving = False
        self.fake: FakeProcess | None = None

    def command(self) -> Command:
        raise NotImplementedError

    def spawn(self) -> Any:  # noqa: ANN401 - a process of our own
        self.diary.append(f"start {self.name}")
        self.fake = FakeProcess()
        self._process = self.fake  # type: ignore[assignment]
        return self.fake

    def probe(self) -> bool:
        return self.serving

    def stop(self, grace: float = 10.0) -> int:
        del grace
        self.diary.append(f"stop {self.name}")
        return 0

    def die(self, status: int = 1) -> None:
        assert self.fake
        self.serving = False
        self.fake.status = status


@dataclass
class Stage:
    """Parts, the clock, and what was said."""

    now: float = 1.0
    diary: list[str] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    held: set[str] = field(default_factory=set)

    def part(self, name: str) -> FakePart:
        return FakePart(name, self.diary)

    def supervisor(self, *parts: Supervised) -> Supervisor:
        return Supervisor(parts, self, held=self.held.__contains__, clock=lambda: self.now)

    def died_more_than(self, times: int) -> bool:
        return len(self.delays) > times

    def starting(self, name: str) -> None:
        pass

    def ready(self, name: str, seconds: float) -> None:
        assert seconds >= 0
        self.diary.append(f"ready {name}")

    def died(self, name: str, reason: str, delay: float) -> None:
        self.diary.append(f"died {name}")
        self.reasons.append(reason)
        self.delays.append(delay)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def tick_until(supervisor: Supervisor, condition: Callable[[], object]) -> None:
    """Ticks; preparations run in threads, so the number of ticks is not ours to say."""
    for _ in range(100_000):
        supervisor.tick()
        if condition():
            return
    pytest.fail("it never came to this")


def test_a_part_waits_for_what_it_needs(stage: Stage) -> None:
    store, control = stage.part("store"), stage.part("control")
    supervisor = stage.supervisor(Supervised(control, needs=["store"]), Supervised(store))

    tick_until(supervisor, lambda: store.fake)
    supervisor.tick()
    assert control.fake is None
    store.serving = control.serving = True
    tick_until(supervisor, lambda: supervisor.all_ready)

    assert stage.diary == ["start store", "ready store", "start control", "ready control"]


def test_a_part_that_dies_comes_back_at_once_then_ever_later_but_always(stage: Stage) -> None:
    part = stage.part("node")
    supervisor = stage.supervisor(Supervised(part))
    part.serving = True
    tick_until(supervisor, lambda: supervisor.all_ready)

    for _ in range(9):
        part.die()
        died = len(stage.delays)
        tick_until(supervisor, partial(stage.died_more_than, died))
        starts = stage.diary.count("start node")
        if stage.delays[-1]:
            stage.now += stage.delays[-1] - 0.01
            for _ in range(100):
                supervisor.tick()
            assert stage.diary.count("start node") == starts
            stage.now += 0.02
        part.serving = True
        tick_until(supervisor, lambda: supervisor.all_ready)

    assert stage.delays == [0, 0.5, 1, 2, 4, 8, 10, 10, 10]
    assert set(stage.reasons) == {"it broke"}


def test_a_part_that_ran_long_is_forgiven(stage: Stage) -> None:
    part = stage.part("node")
    supervisor = stage.supervisor(Supervised(part))
    for _ in range(3):
        part.serving = True
        tick_until(supervisor, lambda: supervisor.all_ready)
        stage.now += 60
        part.die()
        died = len(stage.delays)
        tick_until(supervisor, partial(stage.died_more_than, died))

    assert stage.delays == [0, 0, 0]


def test_a_part_that_is_held_stays_down_until_it_is_let_go(stage: Stage) -> None:
    part = stage.part("redis")
    supervisor = stage.supervisor(Supervised(part))
    part.serving = True
    tick_until(supervisor, lambda: supervisor.all_ready)

    stage.held.add("redis")
    part.die()
    tick_until(supervisor, lambda: stage.delays)
    stage.now += 60
    for _ in range(100):
        supervisor.tick()
    assert stage.diary.count("start redis") == 1
    stage.held.clear()

    tick_until(supervisor, lambda: stage.diary.count("start redis") == 2)


def test_a_restart_does_not_wait_for_others(stage: Stage) -> None:
    store, control = stage.part("store"), stage.part("control")
    supervisor = stage.supervisor(Supervised(store), Supervised(control, needs=["store"]))
    store.serving = control.serving = True
    tick_until(supervisor, lambda: supervisor.all_ready)

    store.die()
    control.die()
    tick_until(supervisor, lambda: stage.diary.count("start control") == 2)


def test_a_part_that_never_starts_ends_the_attempt_with_its_last_words(stage: Stage) -> None:
    part = stage.part("control-plane")
    supervisor = stage.supervisor(Supervised(part))

    def fail() -> bool:
        stage.now += 1
        if part.fake:
            part.die()
        return False

    with pytest.raises(CommandError, match="control-plane does not start: it broke"):
        tick_until(supervisor, fail)
    assert stage.diary.count("start control-plane") == 3


def test_a_configuration_error_is_not_tried_again(stage: Stage) -> None:
    part = stage.part("control-plane")
    supervisor = stage.supervisor(Supervised(part))
    tick_until(supervisor, lambda: part.fake)

    part.die(status=2)

    with pytest.raises(CommandError, match="it broke"):
        supervisor.tick()
    assert stage.diary == ["start control-plane"]


def test_a_part_that_hangs_while_starting_is_killed_and_tried_again(stage: Stage) -> None:
    part = stage.part("envoy")
    supervisor = stage.supervisor(Supervised(part))
    killed: list[bool] = []
    part.kill = lambda: killed.append(True)  # type: ignore[method-assign]
    tick_until(supervisor, lambda: part.fake)

    stage.now += 121
    supervisor.tick()

    assert killed
    assert stage.reasons == ["no answer within 120 s"]


def test_a_part_that_runs_and_serves_nobody_is_killed_and_comes_back(stage: Stage) -> None:
    part, watches = stage.part("node"), list[FakeWatch]()
    part.kill = part.die  # type: ignore[method-assign]

    def watch() -> FakeWatch:
        watches.append(FakeWatch())
        return watches[-1]

    supervisor = stage.supervisor(Supervised(part, liveness=watch))
    part.serving = True
    tick_until(supervisor, lambda: supervisor.all_ready)
    supervisor.tick()
    assert not stage.reasons

    watches[0].complaint = "it does not answer"
    tick_until(supervisor, lambda: stage.reasons)
    part.serving = True
    tick_until(supervisor, lambda: supervisor.all_ready)

    assert stage.reasons == ["it does not answer"]
    assert stage.diary == ["start node", "ready node", "died node", "start node", "ready node"]
    assert [each.ended for each in watches] == [True, False], "each start has a watch of its own"
    supervisor.stop()
    assert watches[1].ended, "a part that is being stopped need not answer"


def test_asking_to_stop_again_ends_all_parts_at_once_and_waits_for_none(stage: Stage) -> None:
    """Waiting in a signal handler for a process that the interrupted code waits for may never end (FLT-5)."""
    part, unstarted = stage.part("node"), stage.part("envoy")
    part.kill = lambda: pytest.fail("that waits")  # type: ignore[method-assign]
    supervisor = stage.supervisor(Supervised(part), Supervised(unstarted, needs=["nobody"]))
    tick_until(supervisor, lambda: part.fake)

    supervisor.request_stop()
    assert part.fake
    assert part.fake.status is None
    supervisor.request_stop()

    assert part.fake.status == -9


def test_parts_stop_stage_by_stage(stage: Stage) -> None:
    parts = [
        Supervised(stage.part("store"), stop_stage=2),
        Supervised(stage.part("control"), stop_stage=1),
        Supervised(stage.part("envoy"), stop_stage=0),
        Supervised(stage.part("web"), stop_stage=0),
    ]
    supervisor = stage.supervisor(*parts)

    supervisor.stop()
    supervisor.tick()

    assert stage.diary == ["stop envoy", "stop web", "stop control", "stop store"]


def test_asking_to_stop_ends_the_start(stage: Stage) -> None:
    supervisor = stage.supervisor(Supervised(stage.part("never")))
    supervisor.request_stop()

    assert supervisor.start() is False
