"""A node's state that was read only in part is read again, and one room's trouble keeps no other from being read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from control_plane.kernel.errors import permission_denied, store_unavailable
from control_plane.log.position import NodePosition
from control_plane.media.consumers import ConsumerLeases
from control_plane.media.node_events import NodeEventApplier
from control_plane.nodes.control import NodeMessage, NodeRoom, NodeUnreachableError, SpeakerEvent
from tests.support.live import FakeNode, FakeNodes, MemoryDirectory, Replica, eventually, guest

MEETING, OTHER = "12345678901", "12345678902"


async def test_a_stream_that_breaks_within_the_state_begins_with_it_again(
    replica: Replica, directory: MemoryDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = await reconciled(replica, directory, monkeypatch)
    whole = FakeNodes.watch
    breaks = [1, 0]

    async def watch(self: FakeNodes, address: str, position: NodePosition | None) -> AsyncIterator[NodeMessage]:
        rooms = 0
        fails_after = breaks.pop(0) if breaks else 2
        async for message in whole(self, address, position):
            yield message
            rooms += isinstance(message, NodeRoom)
            if fails_after == rooms:
                raise NodeUnreachableError

    monkeypatch.setattr(FakeNodes, "watch", watch)
    await replica.part.consumers.tend()

    await eventually(lambda: {MEETING, OTHER} <= set(read))
    await replica.part.consumers.stop()


async def test_the_position_is_kept_once_the_state_was_read(
    replica: Replica, node: FakeNode, directory: MemoryDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = await reconciled(replica, directory, monkeypatch)
    await replica.part.consumers.tend()
    await eventually(lambda: len(read) == 2)
    node.happened(MEETING, SpeakerEvent(""))
    await eventually(lambda: replica.observer.counts["node_events_applied"])
    await replica.part.consumers.stop()

    leases = ConsumerLeases(replica.part.client)
    assert await leases.position(node.node_id) == NodePosition(node.instance_id, 1)


@pytest.mark.parametrize(("fault", "times"), [(permission_denied(), 1), (store_unavailable("live state"), 2)])
async def test_what_one_room_refuses_is_passed_over_and_a_store_that_is_away_is_not(
    replica: Replica,
    directory: MemoryDirectory,
    monkeypatch: pytest.MonkeyPatch,
    fault: Exception,
    times: int,
) -> None:
    faults = [fault]
    read = await reconciled(replica, directory, monkeypatch, faults)
    await replica.part.consumers.tend()

    await eventually(lambda: len(set(read)) == 2)
    await replica.part.consumers.stop()
    assert max(read.count(room) for room in read) == times


async def reconciled(
    replica: Replica,
    directory: MemoryDirectory,
    monkeypatch: pytest.MonkeyPatch,
    faults: list[Exception] | None = None,
) -> list[str]:
    """Two rooms of a node, and which of them were compared with its state, in order."""
    directory.add(OTHER)
    await replica.join("Ana")
    await replica.join("Zoe", meeting_id=OTHER, caller=replace(guest("Zoe"), meeting_id=OTHER))
    read: list[str] = []

    async def reconcile(_: object, _address: str, room: NodeRoom, _began: object) -> None:
        read.append(room.room_id)
        if faults:
            raise faults.pop()

    monkeypatch.setattr(NodeEventApplier, "_reconcile", reconcile)
    return read
