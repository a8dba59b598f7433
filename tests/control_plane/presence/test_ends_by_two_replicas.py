"""Two replicas, of which one ends or releases what the other brings somebody into."""

from __future__ import annotations

import asyncio

import pytest

from control_plane.kernel.errors import DomainError
from control_plane.log.participant import LeaveReason
from control_plane.meetings.model import MeetingState
from tests.control_plane.conftest import MakeReplica
from tests.support.gate import Gate
from tests.support.live import FakeNode, MemoryDirectory, Replica, attendee, eventually

MEETING = "12345678901"


async def test_a_room_is_not_released_under_somebody_who_comes_in(
    replica: Replica, make_replica: MakeReplica, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweeper of one replica has seen an empty meeting when a join begins at the other."""
    other = make_replica()
    ana = await replica.join("Ana")
    await replica.part.presence.leave(attendee(ana))
    gate = Gate(monkeypatch, other.part.live, "view", after=True)
    replica.clock.move(61)
    sweeping = asyncio.create_task(sweep(other))
    await gate.reached.wait()

    ben = await replica.join("Ben")
    gate.open()
    await sweeping
    await other.settle()

    placement = await replica.part.rooms.find(MEETING)
    assert placement is not None
    assert node.sessions[MEETING][ben.participant.id].session_id == ben.participant.session_id
    assert node.epochs[MEETING] == placement.epoch


async def test_a_join_to_a_room_that_is_being_released_is_placed_anew(
    replica: Replica, make_replica: MakeReplica, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_replica()
    ana = await replica.join("Ana")
    await replica.part.presence.leave(attendee(ana))
    old = await replica.part.leases.epoch(MEETING)
    gate = Gate(monkeypatch, other.part.leases, "release")
    replica.clock.move(61)
    sweeping = asyncio.create_task(sweep(other))
    await gate.reached.wait()  # the live state refuses the old placement from now on

    joining = asyncio.create_task(replica.join("Ben"))
    await eventually(lambda: node.opened >= 2)
    gate.open()
    ben = await joining
    await sweeping
    await other.settle()

    placement = await replica.part.rooms.find(MEETING)
    assert placement is not None
    assert placement.epoch > old
    assert node.sessions[MEETING][ben.participant.id].session_id == ben.participant.session_id


async def test_a_release_that_was_begun_and_never_ended_keeps_nobody_out(replica: Replica) -> None:
    """The process that was about to release the room has died."""
    ana = await replica.join("Ana")
    await replica.part.presence.leave(attendee(ana))
    epoch = await replica.part.leases.epoch(MEETING)
    assert await replica.part.live_rooms.vacate(MEETING, epoch)

    await replica.join("Ben")

    assert await replica.part.leases.epoch(MEETING) > epoch


async def sweep(replica: Replica) -> None:
    for _ in range(60):
        replica.clock.move(0.5)
        await replica.part.sweeper.sweep()


async def test_a_meeting_is_not_ended_under_somebody_who_comes_in(
    replica: Replica, make_replica: MakeReplica, directory: MemoryDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_replica()
    ana = await replica.join("Ana")
    await replica.part.presence.leave(attendee(ana))
    for _ in range(7):
        replica.clock.move(60)
        await sweep(other)
    gate = Gate(monkeypatch, other.part.live_presence, "begin_end")
    sweeping = asyncio.create_task(_until_gate(other, gate))
    await gate.reached.wait()

    await replica.join("Ben")
    gate.open()
    await sweeping

    assert directory.meetings[MEETING].state is MeetingState.ACTIVE
    assert await replica.part.live.counts([MEETING]) == {MEETING: 1}


async def _until_gate(replica: Replica, gate: Gate) -> None:
    for _ in range(600):
        replica.clock.move(0.5)
        await replica.part.sweeper.sweep()
        if gate.reached.is_set():
            return


async def test_nobody_comes_into_a_meeting_that_is_being_ended(
    replica: Replica, make_replica: MakeReplica, directory: MemoryDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_replica()
    ana = await replica.join("Ana")
    await replica.part.presence.leave(attendee(ana))
    gate = Gate(monkeypatch, directory, "end_empty")
    sweeping = asyncio.create_task(_until_gate_slowly(other, gate))
    await gate.reached.wait()

    with pytest.raises(DomainError, match="MEETING_ENDED"):
        await replica.join("Ben")
    gate.open()
    await sweeping

    assert directory.meetings[MEETING].state is MeetingState.ENDED
    assert await replica.part.live.counts([MEETING]) == {MEETING: 0}


async def _until_gate_slowly(replica: Replica, gate: Gate) -> None:
    for _ in range(2_000):
        replica.clock.move(2)
        await replica.part.sweeper.sweep()
        if gate.reached.is_set():
            return


async def test_where_the_end_fails_people_can_come_in_again(replica: Replica, directory: MemoryDirectory) -> None:
    ana = await replica.join("Ana")
    await replica.part.presence.leave(attendee(ana))
    assert await replica.part.live_presence.begin_end(MEETING)
    directory.down = True
    with pytest.raises(DomainError, match="MEETING_ENDED"):
        await replica.join("Ben")
    replica.clock.move(11)
    directory.down = False

    await replica.join("Ben")


async def test_a_sweep_and_a_heartbeat_at_the_same_time(
    replica: Replica, make_replica: MakeReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_replica()
    ana = await replica.join("Ana")
    await sweep(other)  # thirty seconds, and a horizon that lets it judge
    gate = Gate(monkeypatch, other.part.live_presence, "silent", after=True)
    sweeping = asyncio.create_task(_expire(other))
    await gate.reached.wait()

    await replica.part.presence.heartbeat(attendee(ana))
    gate.open()
    await sweeping

    assert await replica.part.live.counts([MEETING]) == {MEETING: 1}
    assert await other.part.live.leave(MEETING, ana.participant.id, LeaveReason.LEFT) is not None


async def _expire(replica: Replica) -> None:
    for _ in range(70):
        replica.clock.move(0.5)
        await replica.part.sweeper.sweep()


async def test_two_streams_of_one_node_count_a_join_once(
    replica: Replica, make_replica: MakeReplica, node: FakeNode
) -> None:
    other = make_replica()
    await replica.join("Ana")
    await replica.join("Ben")
    report = node.report()

    await asyncio.gather(
        *[one.part.registry.report(node.node_id, node.instance_id, report, one.clock.now()) for one in (replica, other)]
    )

    await replica.part.rooms.place("12345678902", "", "a session that no report covers yet")
    (status,) = await replica.part.registry.nodes()
    assert status.pending_joins == 1
