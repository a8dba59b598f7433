"""Nodes that are lost, drained or started anew, on a real Redis."""

from __future__ import annotations

import asyncio

import pytest

from control_plane.kernel.errors import DomainError
from control_plane.log.participant import ParticipantState
from control_plane.media.model import MediaOffer
from control_plane.nodes.control import NodeDrainingError
from control_plane.nodes.model import LoadReport, NodeEvent, NodeState, RoomLease
from control_plane.nodes.registry import Fence
from control_plane.nodes.service import Configure, DrainNow, SaidGoodbye
from control_plane.rooms.model import PlacementRequest
from tests.control_plane.conftest import MakeReplica
from tests.control_plane.rooms.test_placement import place, state_of
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

MEETING = "12345678901"


async def test_three_missed_reports_make_a_node_lost_and_its_meetings_move(
    replica: Replica, node: FakeNode, second: FakeNode
) -> None:
    ana = await replica.join("Ana")
    await replica.register(second)
    await replica.steady(node, second)
    node.crash()
    for _ in range(4):
        replica.clock.move(0.5)
        await replica.report(second)
        await replica.part.detector.look()

    assert await state_of(replica, node) is NodeState.LOST
    assert await replica.part.rooms.move_void() == 1
    await replica.settle()
    view = await replica.view()
    assert view.epoch > ana.answer.epoch
    assert second.epochs[MEETING] == view.epoch
    assert view.participants[0].state is ParticipantState.RECONNECTING


async def test_a_node_is_not_lost_for_two_missed_reports(replica: Replica, node: FakeNode) -> None:
    await replica.steady(node)
    replica.clock.move(0.9)
    await replica.part.detector.look()

    assert await state_of(replica, node) is NodeState.ACTIVE


async def test_silence_while_nobody_listened_is_no_loss(
    replica: Replica, node: FakeNode, make_replica: MakeReplica
) -> None:
    await replica.join("Ana")
    await replica.steady(node)
    await replica.stop()
    replica.clock.move(120)  # every control plane was away; the node and its calls were not
    back = make_replica()

    await back.part.detector.look()
    assert await back.part.rooms.move_void() == 0
    assert await state_of(back, node) is NodeState.ACTIVE
    await back.report(node)
    await back.steady(node)
    assert await back.part.rooms.move_void() == 0


async def test_a_restarted_nodes_meetings_move_at_once(replica: Replica, node: FakeNode) -> None:
    replica.part.start()
    ana = await replica.join("Ana")
    watching = Watching(replica, ana)
    node.restart()

    await replica.part.registry.register(node.registration(), ())
    replica.part.rooms.move_soon()
    await eventually(lambda: watching.of("media_moved"))

    moved = watching.of("media_moved")
    assert len(moved) == 1
    assert moved[0].epoch > ana.answer.epoch
    answer = await replica.part.media.renegotiate(attendee(ana), MediaOffer("new offer"), "again")
    assert answer.epoch == moved[0].epoch
    await watching.stop()


async def test_two_replicas_move_a_meeting_once(
    replica: Replica, make_replica: MakeReplica, node: FakeNode, second: FakeNode
) -> None:
    other = make_replica()
    replica.part.start()
    ana = await replica.join("Ana")
    watching = Watching(replica, ana)
    await replica.register(second)
    node.crash()
    await replica.part.registry.transition(node.node_id, NodeEvent.UNREACHABLE)

    await asyncio.gather(*[one.part.rooms.move_void() for one in (replica, other) for _ in range(3)])
    await eventually(lambda: watching.of("media_moved"))

    assert len(watching.of("media_moved")) == 1
    await watching.stop()


async def test_a_node_that_answers_no_call_is_lost_before_its_reports_are_missed(
    replica: Replica, node: FakeNode, second: FakeNode
) -> None:
    await replica.join("Ana")
    await replica.register(second)
    node.crash()

    ben = await replica.join("Ben")

    assert ben.answer.epoch == second.epochs[MEETING]
    assert await state_of(replica, node) is NodeState.LOST


async def test_a_broken_stream_of_a_dead_node_counts_at_once(replica: Replica, node: FakeNode) -> None:
    told = replica.part.reports.converse(says(registered(node)))
    assert await anext(told) == Configure(0.5, 5.0)
    node.crash()
    with pytest.raises(StopAsyncIteration):
        await anext(told)
    await replica.settle()

    assert await state_of(replica, node) is NodeState.LOST


async def test_a_broken_stream_of_a_living_node_means_nothing(replica: Replica, node: FakeNode) -> None:
    async for _ in replica.part.reports.converse(says(registered(node))):
        pass
    await replica.settle()

    assert await state_of(replica, node) is NodeState.ACTIVE


async def test_a_goodbye_moves_what_is_left(replica: Replica, node: FakeNode, second: FakeNode) -> None:
    await replica.join("Ana")
    await replica.register(second)
    async for _ in replica.part.reports.converse(says(registered(node), SaidGoodbye())):
        pass

    assert await state_of(replica, node) is NodeState.GONE
    assert await replica.part.rooms.move_void() == 1


async def test_a_returned_node_is_fenced_from_what_moved(replica: Replica, node: FakeNode, second: FakeNode) -> None:
    await replica.join("Ana")
    held = node.report()
    await replica.register(second)
    await replica.part.registry.transition(node.node_id, NodeEvent.UNREACHABLE)
    await replica.part.rooms.move_void()

    outcome = await replica.part.registry.report(node.node_id, node.instance_id, held)

    epoch = (await replica.view()).epoch
    assert outcome.fences == (Fence(MEETING, epoch),)
    assert await state_of(replica, node) is NodeState.ACTIVE


async def test_a_released_room_is_fenced_and_not_taken_back(replica: Replica, node: FakeNode) -> None:
    placement = await replica.part.leases.place(PlacementRequest("room"))
    await replica.part.leases.release("room")
    late = LoadReport(rooms=(RoomLease("room", placement.epoch, 1),))

    outcome = await replica.part.registry.report(node.node_id, node.instance_id, late)

    assert outcome.fences == (Fence("room", placement.epoch + 1),)
    assert await replica.part.leases.find("room") is None


async def test_after_a_loss_of_redis_the_nodes_word_counts(replica: Replica, node: FakeNode) -> None:
    await replica.join("Ana")
    told = replica.part.reports.converse(says(registered(node), reported(node), reported(node)))
    await anext(told)
    await replica.part.client.flushdb()
    async for _ in told:
        pass

    placement = await replica.part.leases.find(MEETING)
    assert placement is not None
    assert placement.epoch == node.epochs[MEETING]


async def test_a_newer_process_of_a_node_ends_the_olders_stream(replica: Replica, node: FakeNode) -> None:
    old = registered(node)
    told = replica.part.reports.converse(says(old, reported(node), reported(node)))
    await anext(told)
    node.restart()
    await replica.register(node)

    assert [one async for one in told] == []
    assert await state_of(replica, node) is NodeState.ACTIVE


async def test_a_drained_node_is_told_once_and_takes_nothing_new(
    replica: Replica, node: FakeNode, second: FakeNode
) -> None:
    await replica.join("Ana")
    await replica.register(second)
    told = replica.part.reports.converse(says(registered(node), reported(node), reported(node)))
    await anext(told)
    await replica.part.registry.transition(node.node_id, NodeEvent.DRAIN_REQUESTED)

    assert [one async for one in told] == [DrainNow()]
    assert await place(replica, "another") == second.node_id
    assert await place(replica, MEETING) == node.node_id


async def test_a_node_that_refuses_new_rooms_gets_no_more(replica: Replica, node: FakeNode, second: FakeNode) -> None:
    node.refuse = NodeDrainingError()
    await replica.register(second)

    joined = await replica.join("Ana")

    assert joined.answer.epoch == second.epochs[MEETING]
    assert await state_of(replica, node) is NodeState.DRAINING


async def test_the_first_message_has_to_be_a_registration(replica: Replica, node: FakeNode) -> None:
    with pytest.raises(DomainError) as refused:
        await anext(replica.part.reports.converse(says(reported(node))))

    assert refused.value.reason == "INVALID_ARGUMENT"
