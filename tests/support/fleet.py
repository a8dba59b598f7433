"""The whole product, started once a test session by `parley up`, with a handle on each part."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from parley_cli.ports import free_port
from parley_cli.up.data_folder import read_instance
from tests.support.waiting import until

START_SECONDS = 180.0
_STOP_SECONDS = 30.0


@dataclass(slots=True)
class FleetPart:
    """One part of a running product."""

    name: str
    folder: Path

    @property
    def pid(self) -> int:
        """Its process id now."""
        instance = read_instance(self.folder)
        assert instance, "nothing runs"
        pid: int = instance["parts"][self.name]
        return pid

    def kill(self) -> None:
        """End it as a crash would, and keep the supervisor from starting it again."""
        self._hold.parent.mkdir(exist_ok=True)
        self._hold.touch()
        os.kill(self.pid, signal.SIGKILL)

    async def start(self, *, within: float = START_SECONDS) -> None:
        """Let the supervisor start it again, and wait until it serves."""
        before = self.pid
        self._hold.unlink()

        async def pid() -> int:
            return self.pid

        await until(pid, lambda now: now != before, within=within, what=f"{self.name} serves again")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    async def crash(self, *, within: float = START_SECONDS) -> None:
        """End it as a crash would, and wait until the supervisor has brought it back."""
        self.kill()
        await self.start(within=within)

    @property
    def _hold(self) -> Path:
        return self.folder / "hold" / self.name


@dataclass(slots=True)
class Fleet:
    """A running product.

    Attributes:
        folder: Its data folder.
        environment: Settings besides port and data folder.
        port: The gateway's port; the same after a restart.
        url: Address for browsers.
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    url: str = ""
    _process: subprocess.Popen[bytes] | None = None

    @property
    def authority(self) -> str:
        """`host:port` for gRPC."""
        return f"127.0.0.1:{self.port}"

    @property
    def operator_token(self) -> str:
        """Token for operators' calls."""
        return (self.folder / "secrets" / "operator-token").read_text()

    @property
    def pid(self) -> int:
        """Process id of the supervisor."""
        assert self._process
        return self._process.pid

    @property
    def output(self) -> str:
        """What `parley up` has printed."""
        return self._output.read_text()

    @property
    def postgres(self) -> FleetPart:
        """PostgreSQL."""
        return FleetPart("postgres", self.folder)

    @property
    def redis(self) -> FleetPart:
        """Redis."""
        return FleetPart("redis", self.folder)

    @property
    def control_plane(self) -> FleetPart:
        """The control plane."""
        return FleetPart("control-plane", self.folder)

    @property
    def node(self) -> FleetPart:
        """The media node."""
        return FleetPart("node", self.folder)

    @property
    def web(self) -> FleetPart:
        """The web client's server."""
        return FleetPart("web", self.folder)

    @property
    def envoy(self) -> FleetPart:
        """Envoy."""
        return FleetPart("envoy", self.folder)

    async def start(self) -> None:
        """Start it and wait until it says that everything answers."""
        with self._output.open("wb") as output:
            self._process = self._spawn(output)
        await until(self._said_url, within=START_SECONDS, what="parley up prints its URL")

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop it in good order; the exit status."""
        assert self._process
        self._process.send_signal(number)
        return await asyncio.to_thread(self._process.wait, _STOP_SECONDS)

    def kill(self) -> None:
        """End the supervisor as a crash would."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def log(self, part: str) -> str:
        """What a part has logged."""
        return (self.folder / "logs" / f"{part}.log").read_text()

    @property
    def _output(self) -> Path:
        return self.folder / "up.log"

    def _spawn(self, output: IO[bytes]) -> subprocess.Popen[bytes]:
        arguments = ["up", "--port", str(self.port), "--data-dir", str(self.folder)]
        return subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "parley_cli.main", *arguments],
            env={**os.environ, **self.environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    async def _said_url(self) -> str:
        assert self._process
        assert self._process.poll() is None, self.output
        self.url = next((line for line in self.output.splitlines() if line.startswith("http")), "")
        return self.url
