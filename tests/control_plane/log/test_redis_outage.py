"""Redis is killed during a meeting: calls fail quickly and with a hint, streams stay, nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import time

import pytest

from control_plane.kernel.errors import DomainError
from control_plane.nodes.model import NodeState
from parley_cli.parts.redis import RedisPart
from tests.support.live import (
    FakeNode,
    Replica,
    Watching,
    attendee,
    eventually,
    registered,
    reported,
    says,
)
from tests.support.waiting import until

MEETING = "12345678901"


async def test_a_meeting_outlives_redis(alone: Replica, own_redis: RedisPart, node: FakeNode) -> None:
    ana, ben = await alone.join("Ana"), await alone.join("Ben")
    watching = Watching(alone, ana)
    for number in range(5):
        await alone.part.reactions.react(attendee(ben), str(number), f"r{number}")
    await eventually(lambda: len(watching.reactions) == 5)
    await asyncio.to_thread(own_redis.kill)

    calls = {
        "join": alone.join("Cara"),
        "heartbeat": alone.part.presence.heartbeat(attendee(ana)),
        "leave": alone.part.presence.leave(attendee(ana)),
        "watch": anext(alone.part.watcher.watch(MEETING, ana.participant.id, ana.view.cursor)),
    }
    for name, call in calls.items():
        began = time.monotonic()
        with pytest.raises(DomainError) as refused:
            await call
        assert refused.value.reason == "STORE_UNAVAILABLE", name
        assert refused.value.retry_after is not None
        assert time.monotonic() - began < 10, name
    assert not watching.task.done()
    told = [one async for one in alone.part.reports.converse(says(registered(node), reported(node)))]
    assert len(told) == 1  # the configuration: a node's stream needs no store

    await asyncio.to_thread(own_redis.restart)
    alone.clock.move(1)
    await until(lambda: succeeds(alone, ben), within=10)
    await eventually(lambda: len(watching.reactions) == 6)

    assert watching.reactions == ["0", "1", "2", "3", "4", "back"]
    assert not watching.of("participant_left")
    assert {one.display_name for one in (await alone.view()).participants} == {"Ana", "Ben"}
    (status,) = await alone.part.registry.nodes()
    assert status.state is NodeState.ACTIVE
    cara = await alone.join("Cara")
    assert cara.answer.epoch == ana.answer.epoch
    await watching.stop()


async def succeeds(replica: Replica, who: object) -> bool:
    try:
        await replica.part.reactions.react(attendee(who), "back", "after")  # type: ignore[arg-type]
    except DomainError:
        return False
    return True
