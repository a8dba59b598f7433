"""Two network namespaces joined by a virtual cable: servers in one, load clients in the other.

Servers skip the loopback interface when they gather candidates, and namespaces keep everything off the machine's own
network. They need no cleaning up: they go when their processes do.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from parley_cli.errors import CommandError

_INSIDE: Final = "PARLEY_BENCH_PEERS_INSIDE"
_SERVER_ADDRESS: Final = "10.77.0.1"
_CLIENT_ADDRESS: Final = "10.77.0.2"
_REFUSED: Final = (
    "The benchmark needs network namespaces, which this machine does not permit: run it as root, or permit them with "
    "`sysctl kernel.unprivileged_userns_clone=1` (Debian) or `sysctl kernel.apparmor_restrict_unprivileged_userns=0` "
    "(Ubuntu); a container needs the capability SYS_ADMIN."
)


@dataclass(frozen=True)
class Network:
    """Where both sides are.

    Attributes:
        server_address: Address of the servers, where this process is too.
        client_address: Address of the load clients.
        client_prefix: Runs a command on the clients' side.
    """

    server_address: str
    client_address: str
    client_prefix: Sequence[str]


def enter_namespace(module: str) -> None:
    """Makes this program anew in a network namespace of its own, unless it is in one already.

    Raises:
        CommandError: Namespaces are not permitted, or a program to make them is missing.
    """
    if os.environ.get(_INSIDE):
        return
    for program in ("unshare", "nsenter", "ip"):
        if shutil.which(program) is None:
            message = f"The program {program} is missing: install util-linux and iproute2."
            raise CommandError(message)
    unshare = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode != 0:  # noqa: S603 - our own command
        raise CommandError(_REFUSED)
    os.environ[_INSIDE] = "1"
    os.execvp("unshare", [*unshare, sys.executable, "-m", module, *sys.argv[1:]])  # noqa: S606, S607 - unshare of this machine


@contextmanager
def connected_namespaces() -> Iterator[Network]:
    """Makes the clients' namespace and the cable to it; this process is in the servers'."""
    # It holds the namespace until its input ends, which it does with this process at the latest.
    holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S607
    assert holder.stdin  # noqa: S101 - made with pipes
    assert holder.stdout  # noqa: S101
    try:
        holder.stdin.write(b"\n")
        holder.stdin.flush()
        holder.stdout.readline()  # The namespace is there once cat answers.
        client = ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]
        for prefix in ([], client):
            _run([*prefix, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"])
            _run([*prefix, "ip", "link", "set", "lo", "up"])
        _run(["ip", "link", "add", "server", "type", "veth", "peer", "name", "client", "netns", str(holder.pid)])
        for prefix, name, address in (([], "server", _SERVER_ADDRESS), (client, "client", _CLIENT_ADDRESS)):
            _run([*prefix, "ip", "address", "add", f"{address}/24", "dev", name])
            _run([*prefix, "ip", "link", "set", name, "up"])
        yield Network(_SERVER_ADDRESS, _CLIENT_ADDRESS, client)
    finally:
        holder.stdin.close()
        holder.wait()


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own commands
    if done.returncode != 0:
        message = f"`{' '.join(command)}` failed: {done.stderr.strip()}"
        raise CommandError(message)
