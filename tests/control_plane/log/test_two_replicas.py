"""Two replicas that change the same thing at once: each says what it has read, and nothing that one did is lost."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
import redis.asyncio as redis

from control_plane.kernel.errors import DomainError
from control_plane.log.participant import MediaStateEvent, ParticipantState, SessionKey
from control_plane.log.position import NodePosition
from control_plane.media.model import MediaOffer
from control_plane.media.node_events import NodeEventApplier
from control_plane.nodes.control import NodeRoom, NodeSession, SpeakerEvent, WatchStarted
from control_plane.nodes.model import NodeEvent
from tests.control_plane.conftest import MakeReplica
from tests.support.gate import Gate
from tests.support.live import TRACKS, FakeNode, FakeNodes, MemoryDirectory, Replica, attendee

MEETING = "12345678901"
MUTED = (replace(TRACKS[0], muted=True), TRACKS[1])


async def only(replica: Replica) -> object:
    (person,) = (await replica.view()).participants
    return person


async def test_a_mute_at_one_replica_and_an_unmute_at_the_other_end_alike_on_node_and_in_state(
    replica: Replica, make_replica: MakeReplica, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_replica()
    ana = await replica.join("Ana")
    gate = Gate(monkeypatch, replica.part.media, "_tell_node")
    muting = asyncio.create_task(replica.part.media.update_tracks(attendee(ana), [MUTED[0]]))
    await gate.reached.wait()

    await other.part.media.update_tracks(attendee(ana), [TRACKS[0]])
    gate.open()
    await muting

    (person,) = (await replica.view()).participants
    assert person.tracks == TRACKS
    assert node.tracks[person.session_id] == (TRACKS[0],), "the last word counts on the node, too"


async def test_a_mute_that_reaches_the_old_session_reaches_the_new_one(
    replica: Replica, make_replica: MakeReplica, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P5, the other way around: the mute is on its way while a renegotiation begins and ends."""
    other = make_replica()
    ana = await replica.join("Ana")
    gate = Gate(monkeypatch, replica.part.media, "_tell_node", after=True)
    muting = asyncio.create_task(replica.part.media.update_tracks(attendee(ana), [MUTED[0]]))
    await gate.reached.wait()
    await other.part.media.renegotiate(attendee(ana), MediaOffer("again", TRACKS), "r2")
    gate.open()
    await muting

    (person,) = (await replica.view()).participants
    told = {track.mid: track for track in node.tracks[person.session_id]}
    assert told["0"].muted == person.tracks[0].muted, "node and state agree"


async def test_a_retry_of_a_renegotiation_does_not_undo_a_mute(replica: Replica, node: FakeNode) -> None:
    ana = await replica.join("Ana")
    first = await replica.part.media.renegotiate(attendee(ana), MediaOffer("again", TRACKS), "r2")
    await replica.part.media.update_tracks(attendee(ana), [MUTED[0]])

    again = await replica.part.media.renegotiate(attendee(ana), MediaOffer("again", TRACKS), "r2")

    (person,) = (await replica.view()).participants
    assert again.sdp == first.sdp
    assert person.tracks == MUTED
    assert node.tracks[person.session_id][0].muted


async def test_of_two_renegotiations_the_overtaken_one_changes_nothing(
    replica: Replica, make_replica: MakeReplica, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_replica()
    ana = await replica.join("Ana")
    gate = Gate(monkeypatch, replica.part.live_sessions, "replace_session")
    late = asyncio.create_task(replica.part.media.renegotiate(attendee(ana), MediaOffer("early", MUTED), "r2"))
    await gate.reached.wait()
    await other.part.media.renegotiate(attendee(ana), MediaOffer("late", TRACKS), "r3")
    (before,) = (await other.view()).participants

    gate.open()
    with pytest.raises(DomainError, match="REQUEST_ID_REUSED"):
        await late
    await replica.settle()

    assert (await replica.view()).participants == (before,)
    assert node.sessions[MEETING][before.id].session_id == before.session_id

    # Nor does a retry of what was carried out and has been replaced.
    await other.part.media.renegotiate(attendee(ana), MediaOffer("next", TRACKS), "r4")
    with pytest.raises(DomainError, match="REQUEST_ID_REUSED"):
        await replica.part.media.renegotiate(attendee(ana), MediaOffer("late", TRACKS), "r3")


async def test_a_renegotiation_at_a_node_that_the_room_has_left_is_done_again_at_the_new_one(
    replica: Replica,
    make_replica: MakeReplica,
    node: FakeNode,
    nodes: FakeNodes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other, second = make_replica(), FakeNode("n2", "node-2:1")
    nodes.by_address[second.address] = second
    ana = await replica.join("Ana")
    await replica.register(second)
    gate = Gate(monkeypatch, replica.part.live_sessions, "replace_session")
    slow = asyncio.create_task(replica.part.media.renegotiate(attendee(ana), MediaOffer("again", TRACKS), "r2"))
    await gate.reached.wait()
    node.crash()
    await other.part.registry.transition(node.node_id, NodeEvent.UNREACHABLE)
    assert await other.part.rooms.move_void() == 1
    await other.settle()

    gate.open()
    answer = await slow

    (person,) = (await replica.view()).participants
    assert second.sessions[MEETING][person.id].session_id == person.session_id
    assert answer.epoch == second.epochs[MEETING] == person.epoch
    assert person.state is ParticipantState.RECONNECTING


async def test_a_move_that_is_announced_twice_marks_those_who_were_left_behind_only(
    replica: Replica, make_replica: MakeReplica, node: FakeNode, nodes: FakeNodes
) -> None:
    """P6, for each participant: who has come back stays, who has not is marked."""
    other, second = make_replica(), FakeNode("n2", "node-2:1")
    nodes.by_address[second.address] = second
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    await replica.register(second)
    for joined in (ana, ben):
        key = SessionKey(joined.participant.session_id, joined.participant.id)
        await apply(replica, node.happened(MEETING, MediaStateEvent(key, connected=True)))
    node.crash()
    await replica.part.registry.transition(node.node_id, NodeEvent.UNREACHABLE)
    placement = await other.part.rooms.place(MEETING, "")
    await replica.part.media.renegotiate(attendee(ana), MediaOffer("on the new node", TRACKS), "r2")
    (now,) = [one for one in (await replica.view()).participants if one.id == ana.participant.id]
    key = SessionKey(now.session_id, now.id)
    await apply(replica, second.happened(MEETING, MediaStateEvent(key, connected=True)), second)

    for one in (replica, other):
        await one.part.rooms._announce(placement)
        await one.settle()

    states = {one.display_name: one.state for one in (await replica.view()).participants}
    assert states == {"Ana": ParticipantState.CONNECTED, "Ben": ParticipantState.RECONNECTING}


async def apply(
    replica: Replica, message: object, node: FakeNode | None = None, latest: NodePosition | None = None
) -> None:
    part = replica.part
    applier = NodeEventApplier(
        part.live, part.live_sessions, replica.nodes, part.rooms, replica.observer, part.background
    )
    address = node.address if node else "node-1:1"
    await applier.apply("n1", address, message, latest)  # type: ignore[arg-type]


async def test_a_nodes_state_that_is_applied_late_does_not_undo_later_events(
    replica: Replica, make_replica: MakeReplica, node: FakeNode
) -> None:
    """A consumer whose lease has run out may still be at it when another has gone on."""
    other = make_replica()
    ana = await replica.join("Ana")
    key = SessionKey(ana.participant.session_id, ana.participant.id)
    start = WatchStarted(NodePosition(node.instance_id, 0), from_state=True)
    old = NodeRoom(MEETING, node.epochs[MEETING], (NodeSession(key, False, True, (), TRACKS),), "")  # noqa: FBT003
    await apply(other, node.happened(MEETING, MediaStateEvent(key, connected=True)))
    await apply(other, node.happened(MEETING, SpeakerEvent(ana.participant.id)))

    await apply(replica, old, latest=start.position)

    view = await replica.view()
    assert view.participants[0].state is ParticipantState.CONNECTED
    assert view.dominant_speaker == ana.participant.id


async def test_a_state_is_applied_where_nothing_later_is_known(replica: Replica, node: FakeNode) -> None:
    ana = await replica.join("Ana")
    key = SessionKey(ana.participant.session_id, ana.participant.id)
    room = NodeRoom(MEETING, node.epochs[MEETING], (NodeSession(key, True, False, (), TRACKS),), key.participant_id)  # noqa: FBT003

    await apply(replica, room, latest=NodePosition(node.instance_id, 7))

    view = await replica.view()
    assert view.participants[0].state is ParticipantState.CONNECTED
    assert view.dominant_speaker == ana.participant.id


async def test_what_a_newer_replica_wrote_of_the_meeting_survives_a_change_that_this_one_relays(
    replica: Replica,
    make_replica: MakeReplica,
    directory: MemoryDirectory,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    newer = make_replica()
    await replica.join("Ana")
    client: Any = redis.Redis.from_url(redis_url, decode_responses=True)
    key = f"parley:{{{MEETING}}}:meta"
    directory.rename(MEETING, "Tea")
    gate = Gate(monkeypatch, replica.part.live, "meeting_document", after=True)
    relaying = asyncio.create_task(replica.part.relay.run_once())
    await gate.reached.wait()
    # Between what this replica has read and what it writes, the newer one writes a field that this one does not know.
    document = json.loads(await client.hget(key, "meeting"))
    await client.hset(key, "meeting", json.dumps({**document, "recorded": True}))
    gate.open()
    await relaying
    await newer.part.live_presence.set_meeting(directory.rename(MEETING, "Cake"), operation="outbox:99")

    written = json.loads(await client.hget(key, "meeting"))
    assert (written["topic"], written["recorded"]) == ("Cake", True)
    await client.aclose()


async def test_an_event_and_a_change_of_tracks_at_the_same_time_both_count(
    replica: Replica, make_replica: MakeReplica, node: FakeNode
) -> None:
    other = make_replica()
    ana = await replica.join("Ana")
    key = SessionKey(ana.participant.session_id, ana.participant.id)
    happened = node.happened(MEETING, MediaStateEvent(key, connected=True))

    await asyncio.gather(
        apply(other, happened),
        apply(replica, happened),
        replica.part.media.update_tracks(attendee(ana), [MUTED[0]]),
        other.part.media.update_tracks(attendee(ana), [replace(TRACKS[1], muted=True)]),
    )

    (person,) = (await replica.view()).participants
    assert person.state is ParticipantState.CONNECTED
    assert [track.muted for track in person.tracks] == [True, True]
