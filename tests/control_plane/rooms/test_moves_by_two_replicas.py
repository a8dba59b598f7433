"""A room that two replicas move at the same time."""

from __future__ import annotations

import asyncio

import pytest

from control_plane.log.participant import MediaStateEvent, ParticipantState, SessionKey
from control_plane.log.view import LiveView
from control_plane.media.model import MediaOffer
from control_plane.nodes.model import NodeEvent
from tests.control_plane.conftest import MakeReplica
from tests.support.live import TRACKS, FakeNode, FakeNodes, Replica, attendee, eventually

MEETING = "12345678901"


async def test_who_has_come_back_on_the_new_node_stays_connected(
    replica: Replica, make_replica: MakeReplica, node: FakeNode, nodes: FakeNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, second = make_replica(), FakeNode("n2", "node-2:1")
    nodes.by_address[second.address] = second
    await replica.register(second)
    ana = await replica.join("Ana")
    who = attendee(ana)
    first = node if node.sessions[MEETING] else second
    target = second if first is node else node
    first.crash()
    await replica.part.registry.transition(first.node_id, NodeEvent.UNREACHABLE)

    # The other replica has seen that the room has to move, and is slow from there on.
    go_on = asyncio.Event()
    look = other.part.live.view

    async def slow(meeting_id: str, participant_id: str = "", **options: object) -> LiveView:
        await go_on.wait()
        return await look(meeting_id, participant_id, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(other.part.live, "view", slow)
    late = asyncio.create_task(other.part.rooms.move_void())
    await asyncio.sleep(0.2)

    assert await replica.part.rooms.move_void() == 1
    await replica.settle()
    await replica.part.media.renegotiate(who, MediaOffer("on the new node", TRACKS), "r2")
    await replica.part.consumers.tend()
    await eventually(lambda: target.watchers)
    (person,) = (await replica.view()).participants
    target.happened(MEETING, MediaStateEvent(SessionKey(person.session_id, person.id), connected=True))
    await until_state(replica, ParticipantState.CONNECTED)

    go_on.set()
    await late
    await other.settle()

    (person,) = (await replica.view()).participants
    assert person.state is ParticipantState.CONNECTED, "their media is up; no event will come to say so again"


async def until_state(replica: Replica, wanted: ParticipantState) -> None:
    for _ in range(500):
        (person,) = (await replica.view()).participants
        if person.state is wanted:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"{person.state} instead of {wanted}")
