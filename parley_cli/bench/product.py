"""A whole product of the measurement's own, in a temporary folder."""

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from parley_cli.errors import CommandError
from parley_cli.parts.process import ChildProcess, Command
from parley_cli.ports import free_port
from parley_cli.up.data_folder import read_instance

# All callers come from one address, which in production is one person.
NO_LIMITS: Mapping[str, str] = {
    "PARLEY_CALLS_PER_SECOND": "1000000",
    "PARLEY_CONNECTION_REQUESTS_PER_SECOND": "1000000",
    "PARLEY_CONNECTION_REQUEST_BURST": "1000000",
}
CONTROL_PLANE = "control-plane"
_START_SECONDS = 120.0
_PAUSE = 0.05


@dataclass(frozen=True)
class Product:
    """A running product.

    Attributes:
        target: `host:port` of its gateway.
        parts: Process id of each part.
    """

    target: str
    parts: Mapping[str, int]

    def cpu_seconds(self) -> Mapping[str, float]:
        """Processor time of each part so far, with the processes that it has started; the control plane's as one."""
        spent: dict[str, float] = {}
        for name, pid in self.parts.items():
            part = CONTROL_PLANE if name.startswith(CONTROL_PLANE) else name
            spent[part] = spent.get(part, 0.0) + cpu_seconds(pid)
        return spent


def cpu_seconds(pid: int, *, children: bool = True) -> float:
    """Processor time of a process so far, by default with its children, those that have ended too."""
    process = psutil.Process(pid)
    spent = [process.cpu_times()]
    if not children:
        return spent[0].user + spent[0].system
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            spent.append(child.cpu_times())
    return sum(each.user + each.system + each.children_user + each.children_system for each in spent)


@asynccontextmanager
async def own_product(settings: Mapping[str, str]) -> AsyncIterator[Product]:
    """Starts a product with these `PARLEY_*` settings and takes it away afterwards.

    Raises:
        CommandError: It does not start.
    """
    with tempfile.TemporaryDirectory(prefix="parley-") as folder:
        port = free_port()
        arguments = [sys.executable, "-m", "parley_cli.main", "up", "--port", str(port), "--data-dir", folder]
        environment = {"PARLEY_LOG_LEVEL": "WARNING", **settings, "PYTHONPATH": os.pathsep.join(sys.path)}
        process = ChildProcess(Command(arguments, environment), lambda _line: None)
        try:
            yield await _wait(process, Path(folder), port)
        finally:
            await asyncio.to_thread(process.stop, 60.0)


async def _wait(process: ChildProcess, folder: Path, port: int) -> Product:
    for _ in range(int(_START_SECONDS / _PAUSE)):
        if process.poll() is not None:
            message = f"The product does not start: {' '.join(process.tail[-1:])}"
            raise CommandError(message)
        instance = read_instance(folder)
        if instance and any(line.startswith("http") for line in process.tail):
            return Product(f"127.0.0.1:{port}", instance["parts"])
        await asyncio.sleep(_PAUSE)
    message = f"The product does not answer within {_START_SECONDS:g} s."
    raise CommandError(message)
