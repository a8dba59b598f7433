"""Events that this version does not know, or not any more, as replicas of another version write them: nobody's end."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import redis.asyncio as redis

from control_plane.log.commands import Command, prefix
from control_plane.log.participant import LeaveReason
from control_plane.watching.service import EventMessage, SnapshotMessage
from parley.signaling.v1 import event_pb2
from tests.support.live import MemoryDirectory, Replica, Watching, attendee, eventually, guest

MEETING, OTHER = "12345678901", "12345678902"
NEWER_FIELD = b"\xa2\x1f"
"""Field 500 of a message, with a length: none that this version knows."""
NEWER_KIND = b"\x0a\x02\x08\x07" + NEWER_FIELD + b"\x04poll"
DENIED = event_pb2.Event(
    participant_left=event_pb2.ParticipantLeft(
        participant="meetings/12345678901/participants/somebody",
        reason=event_pb2.LeaveReason.ValueType(max(event_pb2.LeaveReason.values()) + 1),
    )
).SerializeToString()


async def append(redis_url: str, meeting_id: str, fields: dict[str, Any]) -> None:
    """Appends an entry as another version's `commit.lua` does."""
    client: Any = redis.Redis.from_url(redis_url, decode_responses=True)
    position = await client.xadd(f"{prefix(meeting_id)}log", fields)
    await client.hset(f"{prefix(meeting_id)}meta", "last", position)
    await client.aclose()


def entry(event: bytes, recipient: str = "") -> dict[str, Any]:
    return {"e": event, "r": recipient, "p": ""}


def former(kind: str = "participant_left", **data: str) -> dict[str, Any]:
    """An entry as it was before the log held the contract's messages."""
    return {"k": kind, "r": "", "d": json.dumps(data), "t": "0", "p": ""}


def brought(watching: Watching) -> list[bytes]:
    return [
        entry.event
        for message in watching.messages
        if isinstance(message.message, EventMessage)
        for entry in message.message.batch.entries
    ]


def snapshots(watching: Watching) -> int:
    return sum(isinstance(m.message, SnapshotMessage) for m in watching.messages)


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
    await eventually(lambda: here.reactions == ["1"] and elsewhere.reactions == ["1"])

    await append(redis_url, MEETING, entry(DENIED))
    replica.clock.move(1)
    await replica.part.reactions.react(attendee(ben), "2", "r2")
    await replica.part.reactions.react(attendee(zoe), "2", "r2")

    loop = next(task for task in running if task.get_name() == "event log")
    try:
        await eventually(lambda: elsewhere.reactions == ["1", "2"] or loop.done(), within=8)
        assert not loop.done(), f"the loop of all watchers ended: {loop.exception()!r}"
        assert elsewhere.reactions == ["1", "2"], "another meeting"
        await eventually(lambda: here.reactions == ["1", "2"], within=8)
        assert DENIED in brought(here)
    finally:
        await here.stop()
        await elsewhere.stop()


async def test_a_kind_that_only_newer_versions_know_reaches_watchers_as_it_was(
    replica: Replica, redis_url: str
) -> None:
    replica.part.start()
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    watching = Watching(replica, ana)
    await append(redis_url, MEETING, entry(NEWER_KIND))
    await append(redis_url, MEETING, entry(NEWER_KIND, ben.participant.id))
    await replica.part.reactions.react(attendee(ben), "1", "r1")
    resumed = Watching(replica, ana)

    for one in (watching, resumed):
        await eventually(lambda: one.reactions)  # noqa: B023 - awaited in this turn of the loop
        assert brought(one).count(NEWER_KIND) == 1, "the other one was for Ben"
        assert snapshots(one) == 0
        await one.stop()
    assert replica.observer.counts["event set aside"] == 0


async def test_every_value_of_a_byte_passes_through_the_commit_and_the_log(replica: Replica) -> None:
    ana = await replica.join("Ana")
    every = bytes(range(256))
    event = event_pb2.Event.FromString(NEWER_FIELD + b"\x80\x02" + every)
    await replica.part.live.commit(MEETING, Command().check("live").tell(event))
    replica.part.start()
    watching = Watching(replica, ana)

    await eventually(lambda: watching.messages)

    (sent,) = brought(watching)
    assert every in sent
    assert event_pb2.Event.FromString(sent) == event
    await watching.stop()


async def test_who_is_before_an_entry_of_a_former_version_gets_a_snapshot(replica: Replica, redis_url: str) -> None:
    replica.part.start()
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    await append(redis_url, MEETING, former("reaction_sent", participant_id=ben.participant.id, emoji="old"))
    await replica.part.reactions.react(attendee(ben), "1", "r1")

    watching = Watching(replica, ana)
    await eventually(lambda: watching.messages)
    await replica.part.reactions.react(attendee(ben), "2", "r2")
    await eventually(lambda: watching.reactions)

    assert isinstance(watching.messages[0].message, SnapshotMessage)
    assert watching.reactions == ["2"], "the snapshot was made after the first"
    assert replica.observer.counts["event set aside"] == 0
    await watching.stop()


async def test_what_a_replica_of_a_former_version_does_shows_in_a_new_snapshot(
    replica: Replica, redis_url: str
) -> None:
    """While an upgrade runs."""
    replica.part.start()
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    watching = Watching(replica, ana)
    await eventually(lambda: watching.messages)
    await replica.part.live.leave(MEETING, ben.participant.id, LeaveReason.LEFT)
    await append(redis_url, MEETING, former(participant_id=ben.participant.id, reason="left"))
    await eventually(lambda: snapshots(watching) == 1)
    await replica.part.reactions.react(attendee(ana), "1", "r1")
    await eventually(lambda: watching.reactions)

    (view,) = [m.message.view for m in watching.messages if isinstance(m.message, SnapshotMessage)]
    assert [one.id for one in view.participants] == [ana.participant.id]
    assert watching.reactions == ["1"]
    await watching.stop()
