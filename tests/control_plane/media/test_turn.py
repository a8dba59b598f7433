"""TURN credentials: what coturn checks them by, and settings that can't work."""

import base64
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr, ValidationError

from control_plane.media.turn import LIFETIME, TurnServers
from control_plane.settings import ControlPlaneSettings
from tests.support.clock import FakeClock

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
URIS = ("turn:turn.example.org:3478", "turns:turn.example.org?transport=tcp")


def test_a_participants_credentials_hold_for_half_a_day_and_can_be_checked_by_who_has_the_secret() -> None:
    clock = FakeClock(NOW)
    (server,) = TurnServers(clock, URIS, "north").servers("p-1")
    assert server.uris == URIS
    expiry, _, participant = server.username.partition(":")
    assert (datetime.fromtimestamp(int(expiry), UTC), participant) == (NOW + LIFETIME, "p-1")
    assert base64.b64decode(server.credential) == hmac.digest(b"north", server.username.encode(), "sha1")
    clock.advance(timedelta(hours=1))
    (later,) = TurnServers(clock, URIS, "north").servers("p-1")
    (other,) = TurnServers(clock, URIS, "south").servers("p-1")
    assert len({server.credential, later.credential, other.credential}) == 3


def test_without_servers_there_are_no_credentials_and_a_secret_is_never_shown() -> None:
    assert TurnServers(FakeClock(NOW)).servers("p-1") == ()
    assert "north" not in repr(TurnServers(FakeClock(NOW), URIS, "north"))
    assert "north" not in repr(ControlPlaneSettings(turn_uris=list(URIS), turn_secret=SecretStr("north")))


@pytest.mark.parametrize(
    ("uris", "secret"),
    [
        (["turn:turn.example.org"], ""),
        (["stun:turn.example.org"], "north"),
        (["turn:turn.example.org?transport=sctp"], "north"),
        (["turn://turn.example.org"], "north"),
    ],
)
def test_settings_that_cannot_work_are_refused(uris: list[str], secret: str) -> None:
    with pytest.raises(ValidationError, match="turn"):
        ControlPlaneSettings(turn_uris=uris, turn_secret=SecretStr(secret))


def test_addresses_of_both_families_are_taken() -> None:
    uris = ["turn:192.0.2.1:3478?transport=udp", "turn:[2001:db8::1]:3478"]
    assert ControlPlaneSettings(turn_uris=uris, turn_secret=SecretStr("north")).turn_uris == uris
