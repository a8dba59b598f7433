"""What all parts have in common."""

import abc
import time
from pathlib import Path

from parley_cli.parts.process import ChildProcess, Command, LineSink

_PROBE_INTERVAL = 0.02


class PartError(Exception):
    """A part did not start; the message is one sentence for people."""


class Part(abc.ABC):
    """One process of Parley: how to start it, how to see that it serves, how to end it.

    `start` and `stop` are all that tests need. A supervisor takes the steps apart: `prepare`, `spawn`, `probe` until
    true. Files and addresses are chosen when the part is made, so a restarted part is found where it was.
    """

    name: str
    """Short name, shown to people and used for the log file."""

    def __init__(self, sink: LineSink | None = None) -> None:
        self._sink = sink or _discard
        self._process: ChildProcess | None = None

    @property
    def process(self) -> ChildProcess | None:
        """The process, running or ended; None before the first start."""
        return self._process

    @property
    def pid(self) -> int:
        """Process id of the running part.

        Raises:
            PartError: It was not started.
        """
        if self._process is None:
            message = f"{self.name} was not started"
            raise PartError(message)
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there, serving or not."""
        return self._process is not None and self._process.poll() is None

    def prepare(self) -> None:  # noqa: B027 - most parts have nothing to prepare
        """Makes what the process needs and clears what a crash left behind. May take seconds, may be repeated."""

    @abc.abstractmethod
    def command(self) -> Command:
        """The command that is the part."""

    @abc.abstractmethod
    def probe(self) -> bool:
        """Whether the part serves now. Takes at most a second."""

    def spawn(self) -> ChildProcess:
        """Starts the process and returns at once. Call it from a thread that stays (see `ChildProcess`)."""
        self._process = ChildProcess(self.command(), self._sink)
        return self._process

    def start(self, timeout: float = 30.0) -> None:
        """Starts the part and waits until it serves.

        Raises:
            PartError: It ended, or did not serve within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        self.prepare()
        process = self.spawn()
        while not self.probe():
            if process.poll() is not None:
                message = f"{self.name} ended while starting: {_last_line(process.tail)}"
                raise PartError(message)
            if time.monotonic() > deadline:
                self.kill()
                message = f"{self.name} did not answer within {timeout:g} s: {_last_line(process.tail)}"
                raise PartError(message)
            time.sleep(_PROBE_INTERVAL)

    def stop(self, grace: float = 10.0) -> int:
        """Ends the part in good order, or by force after `grace` seconds; returns its exit status (0: did not run)."""
        return self._process.stop(grace) if self._process else 0

    def kill(self) -> None:
        """Ends the part as a crash would (SIGKILL)."""
        if self._process:
            self._process.kill()

    def restart(self, timeout: float = 30.0) -> None:
        """Stops the part if it runs and starts it again at the same place."""
        self.stop()
        self.start(timeout)


def log_to(path: Path) -> LineSink:
    """A sink that appends to a file, for tests; the supervisor's logs rotate."""

    def append(line: str) -> None:
        with path.open("a") as file:
            file.write(line + "\n")

    return append


def _discard(_line: str) -> None:
    pass


def _last_line(tail: list[str]) -> str:
    return next((line for line in reversed(tail) if line.strip()), "it said nothing")
