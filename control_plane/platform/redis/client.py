"""How the control plane talks to Redis: bounded in time, with typed failure, by scripts that are atomic.

Every command either answers within about two seconds or becomes STORE_UNAVAILABLE; nothing retries for ever, and the
connection pool recovers by itself when Redis is back. One retry after a broken connection is safe, since whatever is
written carries an operation id or says the same twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError

from control_plane.kernel.errors import DomainError, store_unavailable

Argument = str | bytes | int | float
Call = tuple[Argument, ...]
"""A command with its arguments."""

CONNECT_TIMEOUT: Final = 1.0
COMMAND_TIMEOUT: Final = 1.5
_POOL_SIZE: Final = 256
# Commands take turns: opening hundreds of connections in a burst of joins costs more than it gains.
_AT_ONCE: Final = 24
_TURN_TIMEOUT: Final = 5.0
# Answers that say something about the server's condition, not about the command.
_CONDITIONS: Final = ("LOADING", "MISCONF", "OOM", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY")

BLOCK_MS: Final = 5_000
"""So long a read waits at most for something to come."""


class RedisClient(Redis):
    """A client that has so many commands under way at most; the others wait for their turn, but not for ever."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 -- whatever the client takes
        super().__init__(**options)
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 -- as the client's own
        """Runs a command when it is its turn."""
        async with self.turn():
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits for a turn, and keeps it."""
        if self._turns.locked():
            async with asyncio.timeout(_TURN_TIMEOUT):
                await self._turns.acquire()
        else:
            await self._turns.acquire()
        try:
            yield
        finally:
            self._turns.release()


def connect(
    url: str, *, command_timeout: float = COMMAND_TIMEOUT, retries: int = 1, decode: bool = True
) -> RedisClient:
    """Returns a client; nothing is sent before its first command.

    Args:
        url: `redis://host:port/db` or `unix:///path`.
        command_timeout: Longest wait for an answer, in seconds; longer for a connection that blocks on purpose.
        retries: How often a command is sent again after a broken connection; 0 for who has to know that it broke.
        decode: Whether answers are texts; else they are bytes.
    """
    pool = ConnectionPool.from_url(
        url,
        decode_responses=decode,
        socket_connect_timeout=CONNECT_TIMEOUT,
        socket_timeout=command_timeout,
        max_connections=_POOL_SIZE,
        retry=Retry(NoBackoff(), retries, supported_errors=(RedisConnectionError,)),
        health_check_interval=0,
    )
    client = RedisClient(connection_pool=pool)
    client.auto_close_connection_pool = True
    return client


def as_store_failure(error: BaseException) -> DomainError | None:
    """Returns what a failure of Redis means for a caller; None for a fault of ours."""
    if isinstance(error, ResponseError):
        return store_unavailable("live state") if str(error).startswith(_CONDITIONS) else None
    if isinstance(error, (RedisError, OSError, TimeoutError)):
        return store_unavailable("live state")
    return None


@contextmanager
def store_failures() -> Iterator[None]:
    """Turns failures of Redis into STORE_UNAVAILABLE.

    A cancellation that comes while an answer does is lost in the client at times, and whoever waits for the task's end
    would wait for ever; so one that came in the block and did not leave it is raised here.
    """
    before = _cancellations()
    try:
        yield
    except (DomainError, asyncio.CancelledError):
        raise
    except Exception as error:
        if _cancellations() > before:
            raise asyncio.CancelledError from error
        failure = as_store_failure(error)
        if failure is None:
            raise
        raise failure from error
    if _cancellations() > before:
        raise asyncio.CancelledError


def _cancellations() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


class Script:
    """A Lua script that Redis runs as one step."""

    def __init__(self, client: RedisClient, source: str) -> None:
        self._client = client
        self._run: Any = client.register_script(source)

    @classmethod
    def load(cls, client: RedisClient, package: str, name: str) -> Script:
        """Reads a script that lies in a package's `lua` folder."""
        return cls(client, (files(package) / "lua" / f"{name}.lua").read_text("utf-8"))

    async def __call__(self, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:  # noqa: ANN401 -- Lua's answer
        """Runs the script.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        with store_failures():
            return await self._run(keys=list(keys), args=list(arguments))

    def call(self, keys: Sequence[str], arguments: Sequence[Argument]) -> Call:
        """Returns the command that runs the script, for `together`."""
        return ("EVALSHA", self._run.sha, len(keys), *keys, *arguments)

    async def reload(self) -> None:
        """Gives the script to a server that has lost it."""
        await self._client.script_load(self._run.script)


async def together(client: RedisClient, calls: Sequence[Call], scripts: Sequence[Script]) -> list[Any]:
    """Runs commands one after the other in one round trip; of `scripts` are those that are called.

    Raises:
        DomainError: STORE_UNAVAILABLE: which of them were run is not known.
    """
    with store_failures():
        async with client.turn():
            answers = await _pipelined(client, calls)
        missing = next((place for place, one in enumerate(answers) if isinstance(one, NoScriptError)), None)
        if missing is not None:
            for script in scripts:
                await script.reload()
            # Those behind it were to see what it does.
            async with client.turn():
                answers[missing:] = await _pipelined(client, calls[missing:])
        for one in answers:
            if isinstance(one, Exception):
                raise one
    return answers


async def _pipelined(client: RedisClient, calls: Sequence[Call]) -> list[Any]:
    pipe = client.pipeline(transaction=False)
    for call in calls:
        pipe.execute_command(*call)
    return await pipe.execute(raise_on_error=False)


async def answer(value: Any) -> Any:  # noqa: ANN401 -- redis-py types its commands for both of its clients at once
    """Awaits a command's answer."""
    return await value


def milliseconds(time: datetime) -> int:
    """Returns a time as milliseconds since the epoch."""
    return round(time.timestamp() * 1000)


def from_milliseconds(value: str | float) -> datetime:
    """Returns the time of milliseconds since the epoch."""
    return datetime.fromtimestamp(float(value) / 1000, UTC)


def pairs(flat: Sequence[str]) -> dict[str, str]:
    """Returns the fields of a hash that Lua returned as a flat list."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
