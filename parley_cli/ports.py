"""Ports of this machine."""

import contextlib
import random
import socket

# Below the range from which Linux takes ports of outgoing connections (32768 and up): a port stays free while the
# part that uses it is restarted.
_INTERNAL_PORTS = range(20_000, 32_000)
_ATTEMPTS = 200


def free_port() -> int:
    """A TCP port of the loopback that is nobody else's for as long as this process lives.

    A socket stays bound to it and never listens. Servers, which set SO_REUSEADDR, listen beside that; another
    `free_port`, here or in another process, and outgoing connections pass it over.

    Raises:
        OSError: None was found.
    """
    for port in random.sample(_INTERNAL_PORTS, min(_ATTEMPTS, len(_INTERNAL_PORTS))):
        with contextlib.suppress(OSError):
            _hold(port)
            return port
    message = "No free port was found."
    raise OSError(message)


def _hold(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as holder:
        # Without SO_REUSEADDR it is refused wherever a socket is bound, even one that does not listen.
        holder.bind(("127.0.0.1", port))
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # The descriptor stays open until the process ends.
        holder.detach()


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
