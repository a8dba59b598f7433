"""Which room is on which node, on a real Redis: leases, epochs, pending joins, lost nodes."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from control_plane.kernel.errors import DomainError
from control_plane.nodes.model import LoadReport, NodeEvent, NodeState, RoomLease
from control_plane.rooms.model import PlacementRequest
from tests.control_plane.conftest import MakeReplica
from tests.support.live import (
    FakeNode,
    MemoryDirectory,
    Replica,
    SetClock,
    attendee,
)

MEETING = "12345678901"


async def place(replica: Replica, room: str, session: str = "", region: str = "") -> str:
    placement = await replica.part.leases.place(PlacementRequest(room, region), session_id=session)
    return placement.node_id


async def state_of(replica: Replica, node: FakeNode) -> NodeState:
    nodes = {one.registration.node_id: one for one in await replica.part.registry.nodes()}
    return nodes[node.node_id].state


async def test_joins_between_two_reports_spread_over_the_nodes(
    replica: Replica, make_replica: MakeReplica, node: FakeNode, second: FakeNode
) -> None:
    """A Jitsi cluster once put 58 of 92 joins on one bridge, because its load was stale."""
    other = make_replica()
    await replica.register(second)
    placed = Counter(
        await asyncio.gather(*[place((replica, other)[i % 2], f"room-{i}", f"session-{i}") for i in range(92)])
    )

    assert set(placed) == {node.node_id, second.node_id}
    assert max(placed.values()) <= 48


async def test_a_report_covers_the_joins_that_it_counts(replica: Replica, node: FakeNode) -> None:
    for number in range(5):
        await place(replica, f"room-{number}", f"session-{number}")

    async def loads() -> tuple[int, int]:
        (one,) = await replica.part.registry.nodes()
        return one.session_count, one.pending_joins

    assert await loads() == (0, 5)
    report = LoadReport(sessions_opened=3, rooms=(RoomLease("room-0", 1, 3),))
    await replica.part.registry.report(node.node_id, node.instance_id, report)
    assert await loads() == (3, 2)
    replica.clock.move(11)
    await replica.part.registry.report(node.node_id, node.instance_id, report)
    assert await loads() == (3, 0)  # what never became a session is no load for ever


async def test_replicas_that_place_a_room_at_once_agree(
    replica: Replica, make_replica: MakeReplica, second: FakeNode
) -> None:
    replicas = [replica, make_replica(), make_replica()]
    await replica.register(second)
    placements = await asyncio.gather(*[replicas[i % 3].part.leases.place(PlacementRequest("room")) for i in range(30)])

    assert len({(one.node_id, one.epoch) for one in placements}) == 1
    assert sum(one.fresh for one in placements) == 1


async def test_epochs_grow_with_every_placement(replica: Replica, node: FakeNode) -> None:
    epochs = []
    for _ in range(20):
        placement = await replica.part.leases.place(PlacementRequest("room"))
        epochs.append(placement.epoch)
        await replica.part.leases.release("room")
    await replica.part.registry.transition(node.node_id, NodeEvent.UNREACHABLE)
    await replica.register(node)
    epochs.append((await replica.part.leases.place(PlacementRequest("room"))).epoch)

    assert epochs == sorted(set(epochs))


async def test_epochs_go_on_growing_when_redis_has_lost_its_data(replica: Replica, node: FakeNode) -> None:
    before = await replica.part.leases.place(PlacementRequest("room"))
    await replica.part.client.flushdb()
    replica.clock.move(1)
    await replica.register(node)

    assert (await replica.part.leases.place(PlacementRequest("room"))).epoch > before.epoch


async def test_a_report_that_is_older_than_the_end_of_a_room_does_not_renew_it(
    replica: Replica, node: FakeNode
) -> None:
    """SHARD-HANG: a node's report and the news that a shard has failed overtake each other."""
    before = await replica.part.leases.place(PlacementRequest("room"))
    report = LoadReport(sessions_opened=0, rooms=(RoomLease("room", before.epoch, 1),))
    await replica.part.registry.report(node.node_id, node.instance_id, report)
    await replica.part.leases.invalidate("room", before.epoch)
    await replica.part.registry.report(node.node_id, node.instance_id, report)

    assert await replica.part.leases.find("room") is None
    assert (await replica.part.leases.place(PlacementRequest("room"))).epoch > before.epoch


async def test_a_release_needs_the_right_epoch(replica: Replica) -> None:
    placement = await replica.part.leases.place(PlacementRequest("room"))

    with pytest.raises(DomainError) as refused:
        await replica.part.leases.release("room", epoch=placement.epoch + 1)

    assert refused.value.reason == "EPOCH_MISMATCH"
    assert await replica.part.leases.release("room", epoch=placement.epoch) is not None
    assert await replica.part.leases.release("room") is None
    assert await replica.part.leases.find("room") is None


async def test_nearness_and_free_capacity_decide(replica: Replica, node: FakeNode, second: FakeNode) -> None:
    second.region, second.capacity = "far", 100
    await replica.register(second)
    assert await place(replica, "near", region="local") == node.node_id
    busy = LoadReport(sessions_opened=95, rooms=(RoomLease("big", 1, 95),))
    await replica.part.registry.report(node.node_id, node.instance_id, busy)
    assert await place(replica, "crowded", region="local") == second.node_id


async def test_without_a_node_a_join_says_when_to_try_again(replica: Replica, node: FakeNode) -> None:
    await replica.part.registry.transition(node.node_id, NodeEvent.SAID_GOODBYE)

    with pytest.raises(DomainError) as refused:
        await replica.join()

    assert refused.value.reason == "NO_MEDIA_NODE"
    assert refused.value.retry_after is not None


async def test_a_full_node_takes_no_new_room(replica: Replica, node: FakeNode) -> None:
    full = LoadReport(sessions_opened=100, rooms=(RoomLease("big", 1, 100),))
    await replica.part.registry.report(node.node_id, node.instance_id, full)

    with pytest.raises(DomainError) as refused:
        await place(replica, "room")

    assert refused.value.reason == "NO_NODE_AVAILABLE"


async def test_a_node_none_of_whose_shards_serves_takes_no_new_room(replica: Replica, node: FakeNode) -> None:
    """FLT-5."""
    report = replica.part.registry.report
    await report(node.node_id, node.instance_id, LoadReport(shards=2, serving_shards=0, shard_failures=2))
    with pytest.raises(DomainError) as refused:
        await place(replica, "room")
    assert refused.value.reason == "NO_NODE_AVAILABLE"
    await report(node.node_id, node.instance_id, LoadReport(shards=2, serving_shards=1, shard_failures=2))
    assert await place(replica, "room") == node.node_id


# ---------------------------------------------------------------- lost nodes


async def test_rates_come_from_two_reports(replica: Replica, node: FakeNode, clock: SetClock) -> None:
    report = replica.part.registry.report
    first = LoadReport(cpu_seconds=10, packets_sent=100, bytes_sent=1000)
    await report(node.node_id, node.instance_id, first, clock.now())
    clock.move(2)
    second = LoadReport(cpu_seconds=11, packets_sent=300, bytes_sent=2000)
    await report(node.node_id, node.instance_id, second, clock.now())

    (one,) = await replica.part.registry.nodes()
    assert one.cpu_cores_used == pytest.approx(0.5)
    assert one.packets_sent_per_second == pytest.approx(100)
    assert one.bits_sent_per_second == pytest.approx(4000)


async def test_a_room_that_nobody_is_in_is_released_after_a_while(
    replica: Replica, node: FakeNode, directory: MemoryDirectory
) -> None:
    ana = await replica.join("Ana")
    await replica.part.presence.leave(attendee(ana))
    await replica.part.sweeper.sweep()
    assert await replica.part.leases.find(MEETING) is not None

    replica.clock.move(61)
    await replica.report(node)
    await replica.part.sweeper.sweep()
    await replica.settle()

    assert await replica.part.leases.find(MEETING) is None
    assert MEETING not in node.epochs
    assert directory.meetings[MEETING].state.value == "active"
    replica.clock.move(900)
    await replica.part.sweeper.sweep()
    assert directory.meetings[MEETING].state.value == "ended"
