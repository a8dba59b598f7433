"""The IP addresses of this machine at which clients may reach it."""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import psutil
import structlog

log = structlog.get_logger(__name__)

MOST: Final = 8
"""Addresses at most, loopback included: a client tries each of its own with each of these."""

_REFRESH_SECONDS: Final = 2.0
_CONTAINERS: Final = re.compile(
    r"(docker|podman|cni|cali|flannel|kube|lxc|lxdbr|incusbr|veth|virbr|vnet|vmnet|vboxnet|br-[0-9a-f]{12}|bridge\d).*"
)
"""Bridges to containers and virtual machines: what lives there reaches the machine's other addresses too."""
_TUNNELS: Final = re.compile(r"(tun|tap|utun|wg|ppp|ipsec|tailscale|zt|nebula).*")
_ELSEWHERE: Final = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
"""Documentation addresses (RFC 5737, RFC 3849): nothing is sent, the kernel only says from where it would be."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Found:
    """An address of an interface that is up."""

    interface: str
    address: Address


class LocalAddresses:
    """The addresses of this machine as they are now; read again when the last reading is two seconds old.

    Args:
        read: Reads them.
        clock: Monotonic seconds.
    """

    def __init__(self, read: Callable[[], Sequence[str]], clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._addresses: Sequence[str] = ()
        self._read_at = float("-inf")

    def __call__(self) -> Sequence[str]:
        """Return them, the best first."""
        if self._clock() - self._read_at >= _REFRESH_SECONDS:
            addresses = self._read()
            if addresses != self._addresses:
                log.info("media.addresses", addresses=addresses)
            self._addresses, self._read_at = addresses, self._clock()
        return self._addresses


def local_addresses(*, ipv6: bool) -> list[str]:
    """Return the addresses at which this machine can be reached, the best first and loopback last."""
    return rank([each for each in _interfaces() if ipv6 or each.address.version == 4], _default_routes())  # noqa: PLR2004 - IP version 4


def rank(found: Sequence[Found], usual: Sequence[str]) -> list[str]:
    """Return the addresses that are worth a try, the best first, loopback last; eight at most.

    First comes what the default routes use, then other networks, then tunnels. Left out are bridges to containers,
    unless they have the default route, and link-local IPv6 addresses, which mean nothing without a zone (RFC 4007).

    Args:
        found: Addresses of the interfaces that are up.
        usual: Addresses that the default routes use.
    """
    candidates = [each for each in found if str(each.address) in usual or _is_reachable(each)]
    loopback = [str(each.address) for each in candidates if each.address.is_loopback]
    others = [each for each in candidates if not each.address.is_loopback]
    others.sort(key=lambda each: _order(each, usual))
    names = dict.fromkeys(str(each.address) for each in others)
    own = sorted(set(loopback) & {"127.0.0.1", "::1"})
    return [*names][: MOST - len(own)] + own


def _is_reachable(found: Found) -> bool:
    address = found.address
    without_zone = address.version == 6 and address.is_link_local  # noqa: PLR2004 - IP version 6
    is_unicast = not (address.is_unspecified or address.is_multicast or without_zone)
    return is_unicast and not _CONTAINERS.fullmatch(found.interface)


def _order(found: Found, usual: Sequence[str]) -> tuple[bool, ...]:
    address = found.address
    is_tunnel = _TUNNELS.fullmatch(found.interface) is not None
    return address.is_link_local, str(address) not in usual, is_tunnel, address.version == 6  # noqa: PLR2004 - IP version 6


def _interfaces() -> Iterator[Found]:
    up = {name for name, status in psutil.net_if_stats().items() if status.isup}
    for name, addresses in psutil.net_if_addrs().items():
        for each in addresses if name in up else ():
            if each.family in {socket.AF_INET, socket.AF_INET6}:
                yield Found(name, ipaddress.ip_address(each.address.partition("%")[0]))


def _default_routes() -> list[str]:
    return [address for family, elsewhere in _ELSEWHERE if (address := _source(family, elsewhere))]


def _source(family: socket.AddressFamily, destination: str) -> str:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((destination, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return ""
