"""How often a join asks Redis: what a join costs grows with it, and so does how long one takes where Redis is far."""

from __future__ import annotations

import pytest
from redis.asyncio.connection import AbstractConnection

from tests.control_plane.conftest import Client
from tests.support.live import Replica

MEETING = "12345678901"


class RoundTrips:
    """Counts what is sent to Redis before something is waited for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        send = AbstractConnection.send_packed_command

        async def counted(connection: AbstractConnection, *arguments: object, **options: object) -> None:
            self.count += 1
            await send(connection, *arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(AbstractConnection, "send_packed_command", counted)


async def test_a_warm_join_takes_four_round_trips(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the meeting, keep a place, find the node, come in with all that the answer shows."""
    for name in ("Ana", "Ben"):
        await replica.join(name)
        await replica.settle()
    trips = RoundTrips(monkeypatch)

    joined = await replica.join("Cara")

    assert trips.count == 4
    assert {one.display_name for one in joined.view.participants} == {"Ana", "Ben", "Cara"}
    assert [slot.mid for slot in joined.view.slots] == ["3", "4"]
    assert joined.view.cursor == (await replica.view()).cursor


async def test_a_join_to_a_redis_that_has_lost_its_scripts_is_like_any_other(replica: Replica, client: Client) -> None:
    await replica.join("Ana")
    await client.script_flush()

    joined = await replica.join("Ben")

    assert {one.display_name for one in joined.view.participants} == {"Ana", "Ben"}
    assert await replica.part.live.known() == [MEETING]
