"""A server of somebody else as a process that dies with this one."""

import socket
from collections.abc import Mapping, Sequence

from parley_cli.parts import Command, Part

_PROBE_SECONDS = 0.2


class ServerProcess(Part):
    """Runs a command; it serves once a TCP port of the loopback interface answers.

    Args:
        name: For messages.
        argv: Program and arguments.
        port: The TCP port.
        environment: Variables set besides the inherited ones.
    """

    def __init__(self, name: str, argv: Sequence[str], port: int, environment: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.name = name
        self._command = Command(argv, environment or {})
        self._port = port

    def command(self) -> Command:
        """The command."""
        return self._command

    def probe(self) -> bool:
        """Whether the port answers."""
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=_PROBE_SECONDS).close()
        except OSError:
            return False
        return True
