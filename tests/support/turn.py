"""coturn for a test: on loopback, with a secret of its own."""

from __future__ import annotations

import secrets
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

from parley_cli.ports import free_port
from tests.support.waiting import until

_STOP_SECONDS: Final = 10.0
_RELAY_PORTS: Final = (49_200, 49_400)


class TurnServer:
    """A TURN server that relays to loopback too, which a real one must refuse."""

    def __init__(self, folder: Path) -> None:
        self.secret = secrets.token_urlsafe(16)
        self.port = free_port()
        self._config = folder / "turnserver.conf"
        self._log = folder / "turnserver.log"
        settings = [
            "listening-ip=127.0.0.1",
            "relay-ip=127.0.0.1",
            f"listening-port={self.port}",
            f"min-port={_RELAY_PORTS[0]}",
            f"max-port={_RELAY_PORTS[1]}",
            "realm=parley",
            "use-auth-secret",
            f"static-auth-secret={self.secret}",
            "allow-loopback-peers",
            "fingerprint",
            "no-cli",
            "no-tls",
            "no-dtls",
            "log-file=stdout",
            f"pidfile={folder / 'turnserver.pid'}",
            f"userdb={folder / 'turnserver.db'}",
        ]
        self._config.touch(0o600)
        self._config.write_text("\n".join(settings) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """Where it is reached."""
        return f"turn:127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._log.read_text(errors="replace")

    async def start(self) -> None:
        """Start it and wait until it takes connections."""
        with self._log.open("wb") as output:
            command = ["turnserver", "-c", str(self._config)]
            self._process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)  # noqa: ASYNC220, S603 - short
        await until(self._answers, within=30, what="coturn listens")

    async def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None, self.log
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_STOP_SECONDS)
