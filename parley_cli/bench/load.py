"""Drives load processes by lines of JSON, above all `parley-load`: many WebRTC clients in one thread."""

import asyncio
import json
import os
import shutil
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from parley_cli.errors import CommandError

_LINE_BYTES = 64 * 1024 * 1024
_REPLY_SECONDS = 30.0
_END_SECONDS = 30.0


class LoadClients:
    """Clients that run in a process of their own. Replies come in the order of the operations."""

    def __init__(self, process: Process, name: str) -> None:
        self._process = process
        self._name = name
        self._lock = asyncio.Lock()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    async def ask(self, operation: str, **fields: Any) -> Mapping[str, Any]:  # noqa: ANN401 - JSON
        """Sends one operation and returns its reply.

        Raises:
            CommandError: The operation failed, or the process is gone.
        """
        async with self._lock:
            assert self._process.stdin  # noqa: S101 - made with a pipe
            self._process.stdin.write(json.dumps({"op": operation, **fields}).encode() + b"\n")
            await self._process.stdin.drain()
            reply = await asyncio.wait_for(self._reply(), _REPLY_SECONDS)
        if "error" in reply:
            message = f"{self._name} could not {operation}: {reply['error']}"
            raise CommandError(message)
        return reply

    async def _reply(self) -> Mapping[str, Any]:
        assert self._process.stdout  # noqa: S101 - made with a pipe
        while line := await self._process.stdout.readline():
            reply: Mapping[str, Any] = json.loads(line)
            if "event" not in reply:
                return reply
        message = f"{self._name} ended unexpectedly."
        raise CommandError(message)


@asynccontextmanager
async def load_clients(
    *, prefix: Sequence[str] = (), bind: str = "127.0.0.1", cores: Collection[int] = ()
) -> AsyncIterator[LoadClients]:
    """A process for load clients; it ends with the context.

    Args:
        prefix: Runs the process somewhere else, such as in another network namespace.
        bind: Address of the clients' sockets.
        cores: Those that it keeps to; empty: any.
    """
    async with load_process("parley-load", [*prefix, _program(), "clients", "--bind", bind]) as clients:
        if cores:
            os.sched_setaffinity(clients.pid, cores)
        yield clients


@asynccontextmanager
async def load_process(name: str, command: Sequence[str]) -> AsyncIterator[LoadClients]:
    """A process that takes operations; it ends with the context, by the end of its input."""
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=_LINE_BYTES)
    try:
        yield LoadClients(process, name)
    finally:
        if process.stdin:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _END_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


async def measure_floor(*, receivers: int, segments: int, packet_bytes: int) -> Sequence[Mapping[str, Any]]:
    """What this machine can send at best: the same packets without an engine, one entry a way of sending."""
    options = {"--receivers": receivers, "--segments": segments, "--bytes": packet_bytes, "--seconds": 0.5}
    arguments = [str(word) for option in options.items() for word in option]
    process = await asyncio.create_subprocess_exec(_program(), "floor", *arguments, stdout=PIPE)
    output, _ = await process.communicate()
    return [json.loads(line) for line in output.splitlines()]


def _program() -> str:
    beside = Path(sys.executable).with_name("parley-load")
    found = str(beside) if beside.exists() else shutil.which("parley-load")
    if found is None:
        message = "The load client is missing: run `make setup-test`, which builds it."
        raise CommandError(message)
    return found
