"""WatchSession on a real Redis: nothing is lost and nothing doubled, whoever dies in between."""

from __future__ import annotations

import asyncio
import functools

import pytest
import redis.asyncio as redis

from control_plane.joining.events import participant_joined
from control_plane.kernel.errors import DomainError
from control_plane.log.capability import LogLimits
from control_plane.log.commands import prefix
from control_plane.log.events import participant_left
from control_plane.log.participant import LeaveReason, SessionKey
from control_plane.log.slots import SlotAssignment
from control_plane.log.times import SignalingTimes
from control_plane.media.events import slots_changed
from control_plane.meetings.events import meeting_ended
from control_plane.watching.service import CheckpointMessage, EventMessage, GoAwayMessage, GoAwayReason, SnapshotMessage
from tests.control_plane.conftest import Client, MakeReplica
from tests.support.live import FakeNode, MemoryDirectory, Replica, Watching, attendee, eventually
from tests.support.waiting import until

MEETING = "12345678901"
QUICK_CHECKPOINTS = SignalingTimes(checkpoint=0.05)


def _has(watching: Watching, wanted: int) -> bool:
    return len(watching.events) >= wanted


async def react(replica: Replica, who: object, count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        replica.clock.move(0.25)
        await replica.part.reactions.react(who, str(number), f"request-{number}")  # type: ignore[arg-type]


async def test_a_stream_without_cursor_begins_with_a_snapshot(replica: Replica) -> None:
    replica.part.start()
    ana = await replica.join("Ana")
    watching = Watching(replica, ana, cursor="")

    await eventually(lambda: watching.messages)

    first = watching.messages[0].message
    assert isinstance(first, SnapshotMessage)
    assert [one.display_name for one in first.view.participants] == ["Ana"]
    await watching.stop()


async def test_what_happened_while_nobody_listened_comes_by_cursor_once(
    replica: Replica, make_replica: MakeReplica
) -> None:
    replica.part.start()
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    first = Watching(replica, ana)
    await react(replica, attendee(ben), 3)
    await eventually(lambda: len(first.reactions) == 3)
    cursor = first.cursor
    await first.stop()
    await replica.stop()  # the process is gone

    other = make_replica()
    await react(other, attendee(ben), 4, start=3)
    other.part.start()
    second = Watching(other, ana, cursor=cursor)
    await react(other, attendee(ben), 3, start=7)
    await eventually(lambda: len(second.reactions) >= 7)

    seen = first.reactions + second.reactions
    assert seen == [str(number) for number in range(10)]
    assert not any(isinstance(m.message, SnapshotMessage) for m in second.messages)
    await second.stop()


async def test_a_hundred_resumptions_during_a_storm_lose_and_double_nothing(
    replica: Replica, make_replica: MakeReplica
) -> None:
    other = make_replica()
    replica.part.start()
    other.part.start()
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    storm = asyncio.create_task(react(replica, attendee(ben), 300))
    seen: list[str] = []
    cursor, turn = ana.view.cursor, 0
    while len(seen) < 300:
        turn += 1
        watching = Watching((replica, other)[turn % 2], ana, cursor=cursor)
        wanted = min(3, 300 - len(seen))
        await eventually(functools.partial(_has, watching, wanted))
        await watching.stop()
        # The connection broke after these, however many more were on their way.
        del watching.messages[wanted:]
        seen += watching.reactions
        cursor = watching.cursor
    await storm

    assert seen == [str(number) for number in range(300)]
    assert turn >= 100


async def test_a_second_stream_replaces_the_first_on_another_replica(
    replica: Replica, make_replica: MakeReplica
) -> None:
    other = make_replica()
    replica.part.start()
    other.part.start()
    ana = await replica.join("Ana")
    first = Watching(replica, ana)
    await eventually(lambda: replica.part.log.watchers == 1)
    await asyncio.sleep(0.05)
    second = Watching(other, ana)

    await eventually(first.task.done)

    assert first.messages[-1].message == GoAwayMessage(GoAwayReason.REPLACED)
    assert isinstance(first.error, DomainError)
    assert first.error.reason == "TOO_MANY_STREAMS"
    assert not second.task.done()
    await second.stop()


async def test_a_replaced_stream_does_not_replace_its_successor_by_reading_the_past(replica: Replica) -> None:
    replica.part.start()
    ana = await replica.join("Ana")
    for _ in range(3):
        watching = Watching(replica, ana)  # always from the same old cursor
        await asyncio.sleep(0.05)
        assert not watching.task.done()
        await watching.stop()


async def test_slots_of_others_are_nobodys_business(replica: Replica, node: FakeNode) -> None:
    del node
    replica.part.start()
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    of_ana, of_ben = Watching(replica, ana), Watching(replica, ben)
    key = SessionKey(ben.participant.session_id, ben.participant.id)
    shown = SlotAssignment("4", ana.participant.id, "1")

    await replica.part.live_sessions.slots_changed(MEETING, key, [shown])
    await replica.part.reactions.react(attendee(ben), "x", "r")
    await eventually(lambda: of_ana.reactions and of_ben.reactions)

    assert slots_changed(MEETING, [shown]) in of_ben.events
    assert not of_ana.of("slots_changed")
    await of_ana.stop()
    await of_ben.stop()


async def test_a_checkpoint_says_that_the_stream_lives_and_moves_the_cursor(
    make_replica: MakeReplica, node: FakeNode
) -> None:
    replica = make_replica(given=[QUICK_CHECKPOINTS])
    await replica.register(node)
    replica.part.start()
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    watching = Watching(replica, ana)
    await eventually(lambda: len(watching.messages) >= 3)
    key = SessionKey(ben.participant.session_id, ben.participant.id)
    await replica.part.live_sessions.slots_changed(MEETING, key, [SlotAssignment("4", ana.participant.id, "1")])
    last = (await replica.view()).cursor

    await eventually(lambda: watching.cursor == last)

    assert isinstance(watching.messages[-1].message, CheckpointMessage)
    await watching.stop()


async def test_who_reads_too_slowly_is_sent_away(make_replica: MakeReplica, node: FakeNode) -> None:
    replica = make_replica(given=[LogLimits(watcher_queue=5)])
    await replica.register(node)
    replica.part.start()
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    stream = replica.part.watcher.watch(MEETING, ana.participant.id, ana.view.cursor)
    first = await anext(stream)
    assert isinstance(first.message, EventMessage)

    await react(replica, attendee(ben), 20)
    last = (await replica.view()).cursor.rsplit(".", 1)[1]
    await eventually(lambda: replica.part.log.told(MEETING) == last)
    rest = [message.message async for message in stream]

    assert rest[-1] == GoAwayMessage(GoAwayReason.TOO_SLOW)


async def test_leaving_ends_the_stream(replica: Replica, client: Client) -> None:
    replica.part.start()
    ana = await replica.join("Ana")
    before = await client.xlen(f"{prefix(MEETING)}log")
    watching = Watching(replica, ana)
    # Whoever leaves before their stream has begun is told by an error that they are not there.
    await until(lambda: client.xlen(f"{prefix(MEETING)}log"), lambda length: length > before)
    await replica.part.presence.leave(attendee(ana))

    await eventually(watching.task.done)

    assert watching.events[-1] == participant_left(MEETING, ana.participant.id, LeaveReason.LEFT)
    assert watching.messages[-1].message == GoAwayMessage(GoAwayReason.LEFT)


async def test_the_end_of_a_meeting_is_told_to_who_comes_back_after_it(
    replica: Replica, directory: MemoryDirectory
) -> None:
    replica.part.start()
    ana = await replica.join("Ana")
    directory.end(MEETING)
    await replica.part.relay.run_once()

    watching = Watching(replica, ana)
    await eventually(watching.task.done)

    assert watching.events == [meeting_ended(MEETING, "")]
    assert watching.messages[-1].message == GoAwayMessage(GoAwayReason.LEFT)


async def test_who_has_left_is_told_so(replica: Replica) -> None:
    replica.part.start()
    ana = await replica.join("Ana")
    await replica.part.presence.leave(attendee(ana))

    with pytest.raises(DomainError) as refused:
        await anext(replica.part.watcher.watch(MEETING, ana.participant.id, ""))

    assert refused.value.reason == "PARTICIPANT_NOT_FOUND"


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "1.12345678901.00000000.1-",
        "1.99999999999.{generation}.0-0",
        "1.12345678901.{generation}.9999999999999-0",
        "1.12345678901.{generation}.٣-0",
    ],
)
async def test_a_cursor_that_is_none_of_this_meetings_is_refused(replica: Replica, cursor: str) -> None:
    ana = await replica.join("Ana")
    generation = ana.view.cursor.split(".")[2]

    with pytest.raises(DomainError) as refused:
        await anext(replica.part.watcher.watch(MEETING, ana.participant.id, cursor.format(generation=generation)))

    assert refused.value.reason == "CURSOR_INVALID"


async def test_an_old_cursor_gets_a_fresh_snapshot(make_replica: MakeReplica, node: FakeNode, redis_url: str) -> None:
    replica = make_replica()
    await replica.register(node)
    replica.part.start()
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    await react(replica, attendee(ben), 10)
    async with redis.Redis.from_url(redis_url) as client:
        await client.xtrim(f"parley:{{{MEETING}}}:log", maxlen=3, approximate=False)

    watching = Watching(replica, ana)
    await eventually(lambda: watching.messages)

    assert isinstance(watching.messages[0].message, SnapshotMessage)
    await watching.stop()


async def test_when_redis_has_lost_its_data_a_live_stream_says_that_its_participant_is_gone(
    replica: Replica, redis_url: str
) -> None:
    replica.part.start()
    ana = await replica.join("Ana")
    watching = Watching(replica, ana)
    await eventually(lambda: replica.part.log.watchers == 1)
    async with redis.Redis.from_url(redis_url) as client:
        await client.flushdb()
        await client.client_kill_filter(_type="normal", skipme=True)

    await eventually(watching.task.done)

    assert isinstance(watching.error, DomainError)
    assert watching.error.reason == "PARTICIPANT_NOT_FOUND"


async def test_streams_outlive_broken_connections_to_redis(replica: Replica, redis_url: str) -> None:
    replica.part.start()
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    watching = Watching(replica, ana)
    async with redis.Redis.from_url(redis_url) as client:
        for round_ in range(3):
            await client.client_kill_filter(_type="normal", skipme=True)
            await react(replica, attendee(ben), 5, start=5 * round_)

    await eventually(lambda: len(watching.reactions) == 15)

    assert watching.reactions == [str(number) for number in range(15)]
    assert participant_joined(MEETING, ben.participant) in watching.events
    await watching.stop()


async def test_a_drain_tells_streams_to_go_elsewhere(replica: Replica) -> None:
    replica.part.start()
    ana = await replica.join("Ana")
    watching = Watching(replica, ana)
    await eventually(lambda: replica.part.log.watchers == 1)

    await replica.part.drain()
    await eventually(watching.task.done)

    assert watching.messages[-1].message == GoAwayMessage(GoAwayReason.SHUTTING_DOWN)


async def test_what_happened_meanwhile_comes_in_one_message_to_who_takes_batches(replica: Replica) -> None:
    replica.part.start()
    ana, ben, carla = [await replica.join(name) for name in ("Ana", "Ben", "Carla")]
    await react(replica, attendee(ben), 3)
    alone = Watching(replica, ana, carla.view.cursor)
    together = Watching(replica, carla, batches=True)
    await eventually(lambda: len(alone.events) == len(together.events) == 3)

    assert (len(alone.messages), len(together.messages)) == (3, 1)
    assert together.events == alone.events
    await alone.stop()
    await together.stop()


async def test_a_batch_ends_where_its_watcher_left(replica: Replica) -> None:
    replica.part.start()
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    await react(replica, attendee(ben), 1)
    await replica.part.presence.leave(attendee(ana))
    await react(replica, attendee(ben), 1)

    watching = Watching(replica, ana, batches=True)
    await eventually(watching.task.done)

    assert watching.events[-1] == participant_left(MEETING, ana.participant.id, LeaveReason.LEFT)
    assert [type(message.message) for message in watching.messages] == [EventMessage, GoAwayMessage]


async def test_a_stream_that_another_replaces_ends_between_the_events_of_a_batch(replica: Replica) -> None:
    replica.part.start()
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    old = Watching(replica, ana, batches=True)
    await eventually(lambda: len(old.events) == 1)
    new = Watching(replica, ana, old.cursor, batches=True)
    await eventually(old.task.done)
    await react(replica, attendee(ben), 1)
    await eventually(lambda: new.events)

    assert old.messages[-1].message == GoAwayMessage(GoAwayReason.REPLACED)
    assert len(old.events) == 1
    await new.stop()
