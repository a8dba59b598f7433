"""What counts as one place in a limit: people behind one address share it, and nobody may have many for the asking."""

from __future__ import annotations

import ipaddress

_SITE: int = 64
"""What one customer has at least (RFC 6177), and whose every address one machine may take."""
_NETWORK: int = 48
"""What one customer has at most, as a rule."""


def site(address: str) -> str:
    """Returns an IPv4 address as it is, an IPv6 address as its /64; other texts as they are."""
    return _grouped(address, _SITE)


def network(address: str) -> str:
    """Returns an IPv4 address as it is, an IPv6 address as its /48; other texts as they are."""
    return _grouped(address, _NETWORK)


def _grouped(address: str, prefix: int) -> str:
    # The gateway writes addresses plainly; gRPC itself writes `ipv4:192.0.2.1` and `ipv6:%5B2001:db8::1%5D`.
    bare = address.removeprefix("ipv4:").removeprefix("ipv6:").replace("%5B", "").replace("%5D", "").strip("[]")
    try:
        parsed = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return bare
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, prefix), strict=False))
    return str(parsed)
