"""Ports that are chosen are held."""

import socket
import subprocess
import sys

import pytest

from parley_cli import ports
from parley_cli.ports import check_port, free_port


def test_a_port_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = free_port()
    monkeypatch.setattr(ports, "_INTERNAL_PORTS", range(first, first + 1))

    with pytest.raises(OSError, match="No free port"):
        free_port()


def test_another_process_is_not_given_it() -> None:
    port = free_port()
    program = (
        "from parley_cli import ports\n"
        f"ports._INTERNAL_PORTS = range({port}, {port + 1})\n"
        "try:\n"
        "    ports.free_port()\n"
        "except OSError as error:\n"
        "    print(error)\n"
    )

    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)  # noqa: S603 - our own program

    assert answer.stdout.strip() == "No free port was found."


def test_a_server_listens_on_it() -> None:
    port = free_port()
    check_port("127.0.0.1", port)

    with socket.create_server(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port), timeout=5):
        assert free_port() != port
