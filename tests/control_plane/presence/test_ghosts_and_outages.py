"""FLT-8: who is gone is missed after an outage of Redis, and nobody for its sake."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from control_plane.kernel.errors import DomainError
from control_plane.log.participant import MediaStateEvent, ParticipantState
from parley_cli.parts.redis import RedisPart
from tests.control_plane.presence.test_ghosts import is_in, key_of, pass_time, seconds_until_out
from tests.support.live import (
    FakeNode,
    Replica,
    attendee,
    eventually,
)
from tests.support.waiting import until

MEETING = "12345678901"
NOTICED = 7.0


async def test_nobody_is_missed_while_redis_is_away_and_everybody_who_is_gone_is_afterwards(
    alone: Replica, own_redis: RedisPart, node: FakeNode
) -> None:
    ana, ben = await alone.join("Ana"), await alone.join("Ben")
    await eventually(lambda: node.watchers)
    for joined in (ana, ben):
        node.happened(MEETING, MediaStateEvent(key_of(joined), connected=True))
    await asyncio.to_thread(own_redis.kill)
    for joined in (ana, ben):
        node.silences[joined.participant.session_id] = timedelta(seconds=NOTICED)
        media = MediaStateEvent(key_of(joined), connected=False, silence=timedelta(seconds=NOTICED))
        node.happened(MEETING, media)
    with pytest.raises(DomainError):
        await alone.part.sweeper.sweep()
    await asyncio.to_thread(own_redis.restart)

    async def both_are_silent() -> bool:
        try:
            people = (await alone.view()).participants
        except DomainError:
            return False
        return [one.state for one in people] == [ParticipantState.RECONNECTING] * 2

    await until(both_are_silent, within=20)
    await pass_time(10, alone)
    await alone.part.presence.heartbeat(attendee(ben))
    await pass_time(8, alone)
    assert await is_in(alone, ana), "her heartbeats may have been lost"
    await alone.part.presence.heartbeat(attendee(ben))

    assert await seconds_until_out(ana, alone) <= 10
    assert await is_in(alone, ben)
