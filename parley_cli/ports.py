"""Ports of this machine."""

import contextlib
import random
import socket

# Below the range from which Linux takes ports of outgoing connections (32768 and up): a port stays free while the
# part that uses it is restarted.
_INTERNAL_PORTS = range(20_000, 32_000)
_ATTEMPTS = 200


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nobody uses now.

    Raises:
        OSError: None was found.
    """
    for port in random.sample(_INTERNAL_PORTS, _ATTEMPTS):
        with contextlib.suppress(OSError):
            check_port(host, port)
            return port
    message = f"No free port was found on {host}."
    raise OSError(message)


def check_port(host: str, port: int) -> None:
    """Sees whether a TCP port can be listened on.

    Raises:
        OSError: It can't; `errno` says why.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: connections of an ended server that linger (TIME_WAIT) are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        probe.listen(1)
