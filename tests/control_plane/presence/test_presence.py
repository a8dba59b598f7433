"""Presence on a real Redis: who is silent for 60 s has left, once, whatever replica says so; nothing drifts."""

from __future__ import annotations

import asyncio

import pytest

from control_plane.kernel.errors import DomainError
from control_plane.log.events import participant_left
from control_plane.log.participant import LeaveReason
from tests.control_plane.conftest import MakeReplica
from tests.support.live import FakeNode, MemoryDirectory, Replica, Watching, attendee, eventually

MEETING = "12345678901"


async def pass_time(seconds: float, *replicas: Replica) -> None:
    """Moves the clock with all replicas awake."""
    for _ in range(int(seconds * 2)):
        replicas[0].clock.move(0.5)
        for one in replicas:
            await one.part.sweeper.sweep()


async def test_silence_ends_a_stay_once_over_replicas(replica: Replica, make_replica: MakeReplica) -> None:
    other = make_replica()
    replica.part.start()
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    watching = Watching(replica, ana)
    for _ in range(6):
        await pass_time(9, replica, other)
        await replica.part.presence.heartbeat(attendee(ana))
    await pass_time(5.5, replica, other)
    replica.clock.move(1)
    await asyncio.gather(*[one.part.sweeper.sweep() for one in (replica, other) for _ in range(3)])
    await eventually(lambda: watching.of("participant_left"))

    left = participant_left(MEETING, ben.participant.id, LeaveReason.PRESENCE_EXPIRED)
    assert [event for event in watching.events if event.HasField("participant_left")] == [left]
    assert await replica.part.live.counts([MEETING]) == {MEETING: 1}
    await replica.settle()
    await other.settle()
    await watching.stop()


async def test_a_heartbeat_after_the_end_says_so(replica: Replica) -> None:
    ana = await replica.join("Ana")
    await pass_time(61, replica)

    with pytest.raises(DomainError) as refused:
        await replica.part.presence.heartbeat(attendee(ana))

    assert refused.value.reason == "PARTICIPANT_NOT_FOUND"


async def test_nobody_is_taken_to_have_left_while_heartbeats_could_not_be_noted(
    replica: Replica, make_replica: MakeReplica
) -> None:
    ana = await replica.join("Ana")
    await replica.stop()
    replica.clock.move(300)
    back = make_replica()

    await back.part.sweeper.sweep()
    assert await back.part.live.counts([MEETING]) == {MEETING: 1}
    await back.part.presence.heartbeat(attendee(ana))
    await pass_time(30, back)
    assert await back.part.live.counts([MEETING]) == {MEETING: 1}


async def test_an_expired_participants_session_is_closed_and_the_stay_recorded(
    replica: Replica, node: FakeNode, directory: MemoryDirectory
) -> None:
    ana = await replica.join("Ana")
    await pass_time(61, replica)
    await replica.settle()

    assert not node.sessions[MEETING]
    stay = directory.stays[ana.participant.id]
    assert stay.reason is LeaveReason.PRESENCE_EXPIRED
    assert stay.leave_time is not None


async def test_an_outage_of_the_database_delays_the_history_and_nothing_else(
    replica: Replica, directory: MemoryDirectory
) -> None:
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    await replica.settle()
    directory.down = True
    await replica.part.presence.heartbeat(attendee(ben))
    await replica.part.presence.leave(attendee(ana))
    cara = await replica.join("Cara")  # the meeting is known, so even this goes on
    await replica.settle()
    assert directory.stays[ana.participant.id].leave_time is None
    assert cara.participant.id not in directory.stays

    directory.down = False
    await replica.part.stays.flush(MEETING)

    assert directory.stays[ana.participant.id].reason is LeaveReason.LEFT
    assert directory.stays[cara.participant.id].leave_time is None


async def test_the_sweeper_writes_what_a_dead_process_could_not(
    replica: Replica, make_replica: MakeReplica, directory: MemoryDirectory, node: FakeNode
) -> None:
    ben = await replica.join("Ben")
    await replica.settle()
    directory.down = True
    await replica.part.presence.leave(attendee(ben))
    await replica.settle()
    await replica.stop()
    directory.down = False
    other = make_replica()
    await other.register(node)

    await pass_time(70, other)

    assert directory.stays[ben.participant.id].reason is LeaveReason.LEFT


async def test_a_join_of_an_unknown_meeting_says_that_the_database_is_away(
    replica: Replica, directory: MemoryDirectory
) -> None:
    directory.down = True

    with pytest.raises(DomainError) as refused:
        await replica.join()

    assert refused.value.reason == "STORE_UNAVAILABLE"
    assert refused.value.retry_after is not None


async def test_counts_are_those_of_the_participants_after_a_storm(replica: Replica, make_replica: MakeReplica) -> None:
    other = make_replica()

    async def come_and_go(number: int) -> None:
        here = (replica, other)[number % 2]
        joined = await here.join(f"P{number}")
        await asyncio.gather(here.part.presence.leave(attendee(joined)), other.part.presence.leave(attendee(joined)))

    await asyncio.gather(*[come_and_go(number) for number in range(30)], replica.join("Stays"))

    view = await replica.view()
    assert [one.display_name for one in view.participants] == ["Stays"]
    assert await replica.part.live.counts([MEETING, "99999999999"]) == {MEETING: 1, "99999999999": 0}
