"""An event that this version cannot read, as a newer replica may write it, is nobody's end."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import redis.asyncio as redis

from control_plane.log.commands import prefix
from control_plane.log.event import ReactionSent
from tests.support.live import MemoryDirectory, Replica, Watching, attendee, eventually, guest

MEETING, OTHER = "12345678901", "12345678902"


async def append(redis_url: str, meeting_id: str, kind: str, data: dict[str, str]) -> None:
    """Appends an event as `commit.lua` does."""
    client: Any = redis.Redis.from_url(redis_url, decode_responses=True)
    fields = {"k": kind, "r": "", "d": json.dumps(data), "t": "0", "p": ""}
    position = await client.xadd(f"{prefix(meeting_id)}log", fields)
    await client.hset(f"{prefix(meeting_id)}meta", "last", position)
    await client.aclose()


def reactions(watching: Watching) -> list[str]:
    return [event.emoji for event in watching.events if isinstance(event, ReactionSent)]


async def test_a_reason_that_this_version_does_not_know_stops_no_stream(
    replica: Replica, directory: MemoryDirectory, redis_url: str
) -> None:
    directory.add(OTHER)
    running = replica.part.start()
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    zoe = await replica.join("Zoe", meeting_id=OTHER, caller=replace(guest("Zoe"), meeting_id=OTHER))
    here, elsewhere = Watching(replica, ana), Watching(replica, zoe)
    await replica.part.reactions.react(attendee(ben), "1", "r1")
    await replica.part.reactions.react(attendee(zoe), "1", "r1")
    await eventually(lambda: reactions(here) == ["1"] and reactions(elsewhere) == ["1"])

    await append(redis_url, MEETING, "participant_left", {"participant_id": "somebody", "reason": "denied"})
    replica.clock.move(1)
    await replica.part.reactions.react(attendee(ben), "2", "r2")
    await replica.part.reactions.react(attendee(zoe), "2", "r2")

    loop = next(task for task in running if task.get_name() == "event log")
    try:
        await eventually(lambda: reactions(elsewhere) == ["1", "2"] or loop.done(), within=8)
        assert not loop.done(), f"the loop of all watchers ended: {loop.exception()!r}"
        assert reactions(elsewhere) == ["1", "2"], "another meeting"
        await eventually(lambda: reactions(here) == ["1", "2"], within=8)
    finally:
        await here.stop()
        await elsewhere.stop()


async def test_a_stream_can_be_resumed_past_such_an_event(replica: Replica, redis_url: str) -> None:
    replica.part.start()
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    await append(redis_url, MEETING, "participant_left", {"participant_id": "somebody", "reason": "denied"})
    await replica.part.reactions.react(attendee(ben), "1", "r1")

    watching = Watching(replica, ana)

    await eventually(lambda: reactions(watching) or watching.task.done(), within=8)
    assert reactions(watching) == ["1"]
    await watching.stop()
