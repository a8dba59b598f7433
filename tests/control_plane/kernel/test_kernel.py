"""Ids, sessions, time zones and the place that a limit counts for."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from control_plane.accounts.model import REFRESH_GRACE, Spending, judge_spending, normalise_email
from control_plane.kernel.address import network, site
from control_plane.kernel.ids import SystemIds
from control_plane.kernel.text import is_time_zone

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_ids_have_their_shapes_and_do_not_repeat() -> None:
    ids = SystemIds()
    numbers = {ids.meeting_number() for _ in range(200)}
    assert len(numbers) == 200
    assert all(re.fullmatch(r"[1-9][0-9]{10}", number) for number in numbers)
    assert all(re.fullmatch(r"[0-9]{6}", ids.passcode()) for _ in range(200))
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", ids.uuid())
    assert len(ids.secret()) == 43


@pytest.mark.parametrize(
    ("spent", "meaning"),
    [
        (None, Spending.FIRST),
        (NOW, Spending.RETRY),
        (NOW - REFRESH_GRACE, Spending.RETRY),
        (NOW - REFRESH_GRACE - timedelta(microseconds=1), Spending.REUSE),
        (NOW - timedelta(days=20), Spending.REUSE),
    ],
)
def test_a_retry_is_told_from_a_theft(spent: datetime | None, meaning: Spending) -> None:
    assert judge_spending(spent, NOW) is meaning


def test_an_email_address_is_compared_without_case_and_space() -> None:
    assert normalise_email("  Ada@Example.ORG ") == "ada@example.org"


def test_time_zones_are_those_of_the_iana_database() -> None:
    assert is_time_zone("Europe/Zurich")
    assert not is_time_zone("Europe/Atlantis")
    assert not is_time_zone("../../etc/passwd")


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("ipv4:127.0.0.1", "127.0.0.1"),
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("ipv6:%5B2001:db8:1:2:ffff::1%5D", "2001:db8:1:2::/64"),
        ("unix:", "unix:"),
    ],
)
def test_a_limit_counts_for_an_address_or_an_ipv6_site(address: str, place: str) -> None:
    assert site(address) == place


def test_a_network_is_an_ipv4_address_or_an_ipv6_48() -> None:
    assert network("192.0.2.1") == "192.0.2.1"
    assert network("2001:db8:1:2::3") == "2001:db8:1::/48"
    assert network("::ffff:192.0.2.1") == "192.0.2.1"
