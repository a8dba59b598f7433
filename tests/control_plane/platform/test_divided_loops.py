"""Loops of several replicas over one Redis: each does its share, and that of one that is killed is done by others."""

from __future__ import annotations

import asyncio

import pytest

from control_plane.kernel.caller import Caller, CallerKind
from control_plane.nodes.model import NodeEvent, NodeState
from control_plane.platform.replicas import EXPIRY
from control_plane.rooms.model import PlacementRequest
from tests.control_plane.conftest import MakeReplica
from tests.support.live import FakeNode, FakeNodes, MemoryDirectory, Replica, eventually

NUMBERS = [f"1234567{number:04}" for number in range(40)]


@pytest.fixture
async def three(make_replica: MakeReplica, directory: MemoryDirectory, node: FakeNode) -> list[Replica]:
    node.capacity = 1_000
    replicas = [make_replica() for _ in range(3)]
    await replicas[0].register(node)
    for number in NUMBERS:
        directory.add(number)
    await beat(*replicas)
    return replicas


async def beat(*replicas: Replica) -> None:
    for _ in range(2):
        for one in replicas:
            await one.part.turn("replicas")


async def pass_time(seconds: float, *replicas: Replica) -> None:
    for _ in range(int(seconds)):
        replicas[0].clock.move(1)
        for one in replicas:
            await one.part.turn("replicas")
            await one.part.sweeper.sweep()


async def come(replica: Replica) -> None:
    """Somebody comes into each meeting and is never heard of again."""
    for number in NUMBERS:
        who = Caller(CallerKind.MEETING_GUEST, f"guests/{number}", meeting_id=number)
        await replica.join(caller=who, meeting_id=number)
    await replica.settle()


def expired(replica: Replica) -> float:
    return replica.observer.counts["participants_expired"]


async def test_each_sweeps_its_share_and_no_other(three: list[Replica]) -> None:
    await come(three[0])

    await pass_time(62, *three)

    assert [expired(one) for one in three] == [sum(map(one.part.replicas.mine, NUMBERS)) for one in three]
    assert sum(map(expired, three)) == len(NUMBERS)


async def test_the_meetings_of_a_killed_one_are_swept_by_the_others(three: list[Replica]) -> None:
    await come(three[0])
    await pass_time(50, *three)
    killed, left = three[2], three[:2]
    its = sum(map(killed.part.replicas.mine, NUMBERS))

    await pass_time(62 - 50, *left)

    assert its > 0
    assert expired(killed) == 0
    assert sum(map(expired, left)) == len(NUMBERS)


async def test_the_meetings_of_one_that_is_alive_and_stuck_are_swept_by_the_others(three: list[Replica]) -> None:
    await come(three[0])
    await pass_time(50, *three)
    stuck, left = three[2], three[:2]

    for _ in range(20):
        await stuck.part.turn("replicas")
        await pass_time(1, *left)

    assert stuck.part.replicas.id in left[0].part.replicas.alive
    assert sum(map(expired, left)) == len(NUMBERS)


async def test_the_census_counts_each_meeting_once(three: list[Replica], monkeypatch: pytest.MonkeyPatch) -> None:
    await come(three[0])
    seen: list[int] = []
    monkeypatch.setattr("control_plane.presence.capability.show_meetings", lambda counts: seen.append(sum(counts)))

    for one in three:
        await one.part.turn("census")

    assert seen == [sum(map(one.part.replicas.mine, NUMBERS)) for one in three]
    assert sum(seen) == len(NUMBERS)


async def test_void_rooms_are_moved_by_shares_and_none_is_starved_by_those_that_can_not_be(
    three: list[Replica], node: FakeNode, nodes: FakeNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than fifty rooms that can't be moved once stood before all others for ever."""
    await come(three[0])
    broken = [f"000{number:08}" for number in range(200)]
    for room in broken:
        await three[0].part.leases.place(PlacementRequest(room))
    second = FakeNode("n2", "node-2:1", capacity=1_000)
    nodes.by_address[second.address] = second
    await three[0].register(second)
    node.crash()
    await three[0].part.registry.transition(node.node_id, NodeEvent.UNREACHABLE)
    for one in three:
        look = one.part.live.view

        async def view(meeting_id: str, *args: object, look: object = look, **options: object) -> object:
            if meeting_id in broken:
                message = "it can't be read"
                raise ValueError(message)
            return await look(meeting_id, *args, **options)  # type: ignore[operator]

        monkeypatch.setattr(one.part.live, "view", view)

    moved = [0, 0, 0]
    for _ in range(6):
        for place, one in enumerate(three):
            moved[place] += await one.part.rooms.move_void()

    assert moved == [sum(map(one.part.replicas.mine, NUMBERS)) for one in three]
    for one in three:
        await one.settle()
    placed = [await three[0].part.rooms.find(number) for number in NUMBERS]
    assert {place.node_id for place in placed if place} == {"n2"}


async def test_a_node_and_the_replica_that_judges_it_may_end_together(three: list[Replica], node: FakeNode) -> None:
    judge = next(one for one in three if one.part.replicas.mine(node.node_id))
    left = [one for one in three if one is not judge]
    for _ in range(14):
        judge.clock.move(0.5)
        await judge.report(node)
        for one in three:
            await one.part.detector.look()
    node.up = False

    judged_after = 0.0
    while (await left[0].part.registry.nodes())[0].state is NodeState.ACTIVE:
        judge.clock.move(0.5)
        judged_after += 0.5
        for one in left:
            await one.part.detector.look()

    assert 1.5 < judged_after < EXPIRY.total_seconds(), "sooner than the replica itself is missed"


async def test_each_node_has_one_listener_and_one_that_joins_takes_some(
    make_replica: MakeReplica, nodes: FakeNodes
) -> None:
    fleet = [FakeNode(f"m{number}", f"node-{number}:2") for number in range(12)]
    for one in fleet:
        nodes.by_address[one.address] = one
    first, second = make_replica(), make_replica()
    await first.register(*fleet)
    await beat(first, second)

    async def tend(*replicas: Replica) -> None:
        for one in replicas:
            await one.part.consumers.tend()
        await eventually(lambda: all(len(one.watchers) == 1 for one in fleet))

    def listens(replica: Replica) -> set[str]:
        return {name for name, _ in replica.part.consumers._tasks}

    await tend(first, second)
    assert listens(first) == {one.node_id for one in fleet if first.part.replicas.mine(one.node_id)}
    assert listens(second) == {one.node_id for one in fleet} - listens(first)

    third = make_replica()
    await beat(third, first, second)
    await tend(first, second, third)

    assert listens(third) == {one.node_id for one in fleet if third.part.replicas.mine(one.node_id)}
    assert len(listens(first)) + len(listens(second)) + len(listens(third)) == len(fleet)


async def test_the_nodes_of_a_killed_one_are_listened_to_when_its_leases_run_out(
    make_replica: MakeReplica, nodes: FakeNodes
) -> None:
    fleet = [FakeNode(f"m{number}", f"node-{number}:2") for number in range(6)]
    for one in fleet:
        nodes.by_address[one.address] = one
    first, second = make_replica(), make_replica()
    await first.register(*fleet)
    await beat(first, second)
    await first.part.consumers.tend()
    await second.part.consumers.tend()
    for key in list(second.part.consumers._tasks):
        await second.part.consumers._stop(key)  # without a word, as a killed process

    first.clock.move(EXPIRY.total_seconds())
    await beat(first)
    while len(first.part.consumers._tasks) < len(fleet):
        await first.part.consumers.tend()
        await asyncio.sleep(0.1)

    await eventually(lambda: all(len(one.watchers) == 1 for one in fleet))
