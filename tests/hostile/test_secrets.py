"""What people and parts trust each other with stands in no log."""

from pathlib import Path

from tests.support.fleet import Fleet
from tests.support.hostile import PASSCODE, PASSWORD, World


async def test_no_log_holds_a_secret(world: World, fleet: Fleet) -> None:
    """The world has signed up, signed in, guessed, joined and left by now."""
    files = (fleet.folder / "secrets").iterdir()
    secrets = {
        "a password": PASSWORD,
        "a passcode": PASSCODE,
        "an access token": world.host.token,
        "a refresh token": world.host.refresh_token,
        "a participant's token": world.people["guest"].token,
        "a revoked token": world.tokens["revoked"],
        "a line of an offer": "a=ice-pwd",
        **{f"the file {file.name}": _essence(file) for file in files},
    }
    logs = {file.name: file.read_text(errors="replace") for file in (fleet.folder / "logs").iterdir()}
    assert logs.keys() >= {"control-plane.log", "node.log", "envoy.log", "postgres.log", "redis.log", "web.log"}
    assert "JoinMeeting" in logs["control-plane.log"]
    found = [(what, log) for what, secret in secrets.items() for log, text in logs.items() if secret in text]
    assert found == []
    assert not any(secret in fleet.output for secret in secrets.values())


def _essence(file: Path) -> str:
    """The part of a file that makes it a secret: of a PEM file what stands between its marks."""
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("-----")]
    return lines[0]
