"""Keeps parts running: starts them when they can start, again when they die or serve nobody, stops them in order."""

import contextlib
import enum
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from parley_cli.errors import CommandError
from parley_cli.parts.part import Part, PartError

# The first restart comes at once; a part that keeps dying is tried at most each 10 s, and for ever.
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 10.0
# Who has run this long is healthy again: its next death is a first one.
_HEALTHY_AFTER = 30.0
_START_ATTEMPTS = 3
_START_TIMEOUT = 120.0
_TICK = 0.02
_IDLE_TICK = 0.1
_CONFIGURATION_STATUS = 2


class State(enum.Enum):
    """Where a part is."""

    WAITING = "waiting"
    PREPARING = "preparing"
    STARTING = "starting"
    READY = "ready"
    STOPPED = "stopped"


class Observer(Protocol):
    """Is told what happens. Called from the supervisor's thread."""

    def starting(self, name: str) -> None:
        """A part is being started."""

    def ready(self, name: str, seconds: float) -> None:
        """A part serves, `seconds` after it was begun to start."""

    def died(self, name: str, reason: str, delay: float) -> None:
        """A part ended by itself; it is started again after `delay` seconds."""


class Liveness(Protocol):
    """Watches a part that serves, from when it is made until `end`."""

    @property
    def complaint(self) -> str:
        """Why the part is to be restarted; empty: it serves."""

    def end(self) -> None:
        """Watches no more."""


@dataclass
class Supervised:
    """A part and what it needs.

    Attributes:
        part: The part.
        needs: Names of parts that must serve before it is started for the first time.
        stop_stage: Parts of a lower stage are stopped first.
        stop_grace: Seconds it has to end in good order.
        liveness: Begins to watch the part once it serves; None: only its end is noticed.
    """

    part: Part
    needs: Sequence[str] = ()
    stop_stage: int = 0
    stop_grace: float = 10.0
    liveness: Callable[[], Liveness] | None = None
    state: State = field(default=State.WAITING, init=False)
    _begun: float = field(default=0.0, init=False)
    _ready_at: float = field(default=0.0, init=False)
    _due: float = field(default=0.0, init=False)
    _failures: int = field(default=0, init=False)
    _preparation: "_Preparation | None" = field(default=None, init=False)
    _watch: Liveness | None = field(default=None, init=False)

    def advance(self, now: float, *, needs_met: bool, observer: Observer) -> None:
        """Takes the next step, if it is time for one.

        Raises:
            CommandError: The part can't be started at all.
        """
        match self.state:
            case State.WAITING if needs_met and now >= self._due:
                self._begun = now
                self._preparation = _Preparation(self.part.prepare)
                self.state = State.PREPARING
                observer.starting(self.part.name)
            case State.PREPARING if self._preparation and self._preparation.done:
                self._spawn(now, self._preparation.error, observer)
            case State.STARTING:
                self._check_start(now, observer)
            case State.READY if not self.part.running:
                self._failed(now, observer)
            case State.READY if self._watch and (complaint := self._watch.complaint):
                self.part.kill()
                self._failed(now, observer, complaint)

    def stop_waiting(self) -> None:
        """No more starts."""
        self.state = State.STOPPED
        self._end_watch()

    def _spawn(self, now: float, error: Exception | None, observer: Observer) -> None:
        if error is not None:
            self._failed(now, observer, str(error))
            return
        self.part.spawn()
        self.state = State.STARTING

    def _check_start(self, now: float, observer: Observer) -> None:
        if self.part.probe():
            self.state = State.READY
            self._ready_at = now
            self._watch = self.liveness() if self.liveness else None
            observer.ready(self.part.name, now - self._begun)
        elif not self.part.running:
            self._failed(now, observer)
        elif now - self._begun > _START_TIMEOUT:
            self.part.kill()
            self._failed(now, observer, f"no answer within {_START_TIMEOUT:g} s")

    def _failed(self, now: float, observer: Observer, reason: str = "") -> None:
        self._end_watch()
        was_healthy = self.state is State.READY and now - self._ready_at > _HEALTHY_AFTER
        ever_ready = self._ready_at > 0
        self._failures = 1 if was_healthy else self._failures + 1
        reason = reason or _obituary(self.part)
        if not ever_ready and (self._failures >= _START_ATTEMPTS or _misconfigured(self.part)):
            message = f"{self.part.name} does not start: {reason}"
            raise CommandError(message)
        delay = 0.0 if self._failures == 1 else min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (self._failures - 2))
        self._due = now + delay
        self.state = State.WAITING
        observer.died(self.part.name, reason, delay)

    def _end_watch(self) -> None:
        if self._watch:
            self._watch.end()
            self._watch = None


class Supervisor:
    """Runs parts until it is told to stop.

    Args:
        parts: What to run. Their order is that of the screen; the order of starts follows from their needs.
        observer: Is told what happens.
        held: Says whether a part shall stay down when it is down, for maintenance and fault drills.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        parts: Sequence[Supervised],
        observer: Observer,
        held: Callable[[str], bool] = lambda _name: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parts = parts
        self._observer = observer
        self._held = held
        self._clock = clock
        self._wake = threading.Event()
        self._hurry = False

    def request_stop(self) -> None:
        """Asks to stop, from a signal handler; asking again means at once."""
        self._hurry = self._wake.is_set()
        self._wake.set()
        if self._hurry:
            for supervised in self._parts:
                if supervised.part.process:
                    supervised.part.process.force()

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._wake.is_set()

    @property
    def all_ready(self) -> bool:
        """Whether every part serves."""
        return all(supervised.state is State.READY for supervised in self._parts)

    def start(self) -> bool:
        """Starts all parts and waits until every one serves; False when it was asked to stop before.

        Raises:
            CommandError: A part can't be started.
        """
        while not self.all_ready:
            self.tick()
            if self._wake.wait(_TICK):
                return False
        return True

    def run(self) -> None:
        """Keeps the parts running until it is asked to stop."""
        while not self._wake.wait(_IDLE_TICK if self.all_ready else _TICK):
            self.tick()

    def tick(self) -> None:
        """Looks at each part once."""
        ready = {supervised.part.name for supervised in self._parts if supervised.state is State.READY}
        for supervised in self._parts:
            met = self._started_once(supervised) or ready.issuperset(supervised.needs)
            if supervised.state is State.WAITING and self._held(supervised.part.name):
                continue
            supervised.advance(self._clock(), needs_met=met, observer=self._observer)

    def stop(self) -> None:
        """Stops all parts, stage by stage; those of one stage at the same time."""
        for supervised in self._parts:
            supervised.stop_waiting()
        for stage in sorted({supervised.stop_stage for supervised in self._parts}):
            ending = [supervised for supervised in self._parts if supervised.stop_stage == stage]
            for supervised in ending:
                if supervised.part.process:
                    supervised.part.process.ask_to_stop()
            for supervised in ending:
                supervised.part.stop(0 if self._hurry else supervised.stop_grace)

    def _started_once(self, supervised: Supervised) -> bool:
        # A part that died is not held up by another one that is away too: it has its own ways to wait.
        return supervised.part.process is not None


class _Preparation:
    """Runs a part's preparation in a thread."""

    def __init__(self, prepare: Callable[[], None]) -> None:
        self.error: Exception | None = None
        self._prepare = prepare
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._prepare()
        except (OSError, PartError) as error:
            self.error = error


def _misconfigured(part: Part) -> bool:
    return part.process is not None and part.process.poll() == _CONFIGURATION_STATUS


def _obituary(part: Part) -> str:
    if part.process is None:
        return "it never ran"
    with contextlib.suppress(StopIteration):
        return next(line for line in reversed(part.process.tail) if line.strip() and not line.startswith("READY "))
    return f"it ended with status {part.process.poll()} and said nothing"
