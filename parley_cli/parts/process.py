"""A child process whose output is read line by line and which dies with its parent."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

_LAUNCHER = Path(__file__).with_name("launcher.py")
_TAIL_LINES = 20

LineSink = Callable[[str], None]
"""Takes one line of a process's output, without its line end. Called from a thread of its own."""


@dataclass(frozen=True)
class Command:
    """What to run and how to end it.

    Attributes:
        argv: Program and arguments.
        environment: Variables set besides the inherited ones.
        stop_signal: What asks the process to end in good order; also sent to it when its parent dies.
        unprivileged_in: Folders of a program that must not run as root; empty for the others (see `launcher`).
    """

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    unprivileged_in: Sequence[Path] = ()

    def launched(self) -> list[str]:
        """The same command, run through the launcher by this process."""
        launcher = [sys.executable, "-I", "-S", str(_LAUNCHER)]
        folders = ":".join(str(folder) for folder in self.unprivileged_in)
        return [*launcher, str(os.getpid()), str(int(self.stop_signal)), folders, *self.argv]


class ChildProcess:
    """A started command.

    Start it from a thread that lives as long as the child shall: the kernel ends the child with the thread that
    started it.
    """

    def __init__(self, command: Command, sink: LineSink) -> None:
        self._command = command
        self._sink = sink
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._ready: dict[str, Any] | None = None
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            command.launched(),
            env={**os.environ, **command.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A Ctrl-C in the terminal reaches the parent alone, which then stops its children in order.
            start_new_session=True,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Process id; the same before and after the launcher became the program."""
        return self._process.pid

    @property
    def tail(self) -> list[str]:
        """The last lines of output."""
        return list(self._tail)

    @property
    def ready(self) -> dict[str, Any] | None:
        """What the process said in its `READY <json>` line, or None while it has said nothing."""
        return self._ready

    def poll(self) -> int | None:
        """Exit status (negative: the signal that ended it), or None while it runs."""
        return self._process.poll()

    def stop(self, grace: float = 10.0) -> int:
        """Asks the process to end, kills it after `grace` seconds, and returns its exit status."""
        if self.poll() is None:
            self._process.send_signal(self._command.stop_signal)
            try:
                self._process.wait(grace)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return self._finish()

    def kill(self) -> int:
        """Ends the process at once (SIGKILL)."""
        self._process.kill()
        return self._finish()

    def force(self) -> None:
        """Sends SIGKILL and returns at once: a signal handler that waited could wait for what it has interrupted."""
        self._process.kill()

    def ask_to_stop(self) -> None:
        """Sends the stop signal and returns at once."""
        if self.poll() is None:
            self._process.send_signal(self._command.stop_signal)

    def _finish(self) -> int:
        status = self._process.wait()
        # A grandchild that outlives the process may hold the pipe open: don't wait for it.
        self._reader.join(timeout=1.0)
        return status

    def _read(self, output: IO[str]) -> None:
        with output:
            for raw in output:
                line = raw.rstrip("\n")
                if line.startswith("READY "):
                    self._ready = json.loads(line.removeprefix("READY "))
                self._tail.append(line)
                self._sink(line)
