"""Which of a machine's addresses clients are told, and in which order."""

import ipaddress
import json
import socket

import pytest

from media_plane.addresses import MOST, Found, LocalAddresses, local_addresses, rank
from media_plane.settings import NodeSettings


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NodeSettings.model_fields:
        monkeypatch.delenv(f"PARLEY_{name.upper()}", raising=False)


def found(*pairs: tuple[str, str]) -> list[Found]:
    return [Found(interface, ipaddress.ip_address(address)) for interface, address in pairs]


LAPTOP = found(
    ("lo", "127.0.0.1"),
    ("lo", "::1"),
    ("docker0", "172.17.0.1"),
    ("br-0123456789ab", "172.18.0.1"),
    ("veth12ab", "169.254.3.4"),
    ("tun0", "10.8.0.2"),
    ("eth0", "192.0.2.10"),
    ("wlan0", "198.51.100.3"),
    ("wlan0", "2001:db8::3"),
    ("wlan0", "fe80::3"),
)


def test_the_default_route_comes_first_then_other_networks_then_tunnels_then_loopback() -> None:
    assert rank(LAPTOP, ["198.51.100.3", "2001:db8::3"]) == [
        "198.51.100.3",
        "2001:db8::3",
        "192.0.2.10",
        "10.8.0.2",
        "127.0.0.1",
        "::1",
    ]


def test_a_bridge_is_announced_where_it_has_the_default_route() -> None:
    bridged = found(("lo", "127.0.0.1"), ("bridge0", "192.0.2.10"), ("docker0", "172.17.0.1"))
    assert rank(bridged, ["192.0.2.10"]) == ["192.0.2.10", "127.0.0.1"]


def test_a_cable_between_two_machines_has_link_local_addresses_and_they_come_last() -> None:
    cable = found(("lo", "127.0.0.1"), ("eth1", "169.254.7.8"), ("eth0", "192.0.2.10"))
    assert rank(cable, []) == ["192.0.2.10", "169.254.7.8", "127.0.0.1"]


def test_the_number_of_candidates_is_bounded_and_loopback_is_always_among_them() -> None:
    many = found(*(("eth0", f"2001:db8::{number:x}") for number in range(1, 40)), ("lo", "127.0.0.1"), ("lo", "::1"))
    ranked = rank(many, ["2001:db8::27"])
    assert len(ranked) == len(set(ranked)) == MOST
    assert ranked[0] == "2001:db8::27"
    assert ranked[-2:] == ["127.0.0.1", "::1"]


def test_without_any_network_loopback_is_left() -> None:
    assert rank(found(("lo", "127.0.0.1"), ("lo", "127.0.0.53")), []) == ["127.0.0.1"]


def test_an_address_is_read_again_when_the_network_changes() -> None:
    now, addresses = [0.0], ["192.0.2.10", "127.0.0.1"]
    reads: list[float] = []

    def read() -> list[str]:
        reads.append(now[0])
        return list(addresses)

    local = LocalAddresses(read, lambda: now[0])
    assert local() == local() == ["192.0.2.10", "127.0.0.1"]
    assert reads == [0.0], "joins in a row share a reading"
    addresses[0] = "198.51.100.3"
    now[0] = 2.0
    assert local() == ["198.51.100.3", "127.0.0.1"]


def test_this_machines_addresses_take_media() -> None:
    addresses = local_addresses(ipv6=socket.has_dualstack_ipv6())
    assert "127.0.0.1" in addresses
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as bound:
            bound.bind((address, 0))
    assert not [address for address in local_addresses(ipv6=False) if ":" in address]


@pytest.mark.parametrize("bind", ["", "0.0.0.0", "::"])
def test_sockets_on_every_address_announce_this_machines(bind: str) -> None:
    settings = NodeSettings(media_bind_address=bind)
    ipv6 = ":" in settings.engine_bind_address
    assert settings.announced_addresses() == local_addresses(ipv6=ipv6)
    assert ipv6 == (bind == "::" or (not bind and socket.has_dualstack_ipv6()))


def test_sockets_on_one_address_announce_that_one() -> None:
    assert NodeSettings(media_bind_address="127.0.0.1").announced_addresses() == ["127.0.0.1"]


def test_addresses_that_are_set_are_announced_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_MEDIA_ADDRESSES", json.dumps(["203.0.113.5"]))
    assert NodeSettings().announced_addresses() == ["203.0.113.5"]
