"""FLT-8: who is neither heard by their node nor calls is out of the meeting after 15 s, and nobody else is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from control_plane.joining.service import Joined
from control_plane.kernel.errors import DomainError, store_unavailable
from control_plane.log.events import participant_left
from control_plane.log.participant import LeaveReason, MediaStateEvent, ParticipantState, SessionKey
from control_plane.log.position import NodePosition
from control_plane.media.model import MediaOffer
from control_plane.media.node_events import NodeEventApplier
from control_plane.nodes.control import NodeRoom, NodeSession
from tests.control_plane.conftest import MakeReplica
from tests.support.gate import Gate
from tests.support.live import (
    ICE_RESTART,
    TRACKS,
    FakeNode,
    Replica,
    Watching,
    attendee,
    eventually,
)

MEETING = "12345678901"
NOTICED = 7.0
"""So long after the last datagram a node says that a session is silent."""
OUT = 15.0
STEP = 0.5
"""Seconds between two looks of a control plane's sweep."""


def key_of(joined: Joined) -> SessionKey:
    return SessionKey(joined.participant.session_id, joined.participant.id)


async def apply(replica: Replica, message: object, latest: NodePosition | None = None) -> None:
    part = replica.part
    applier = NodeEventApplier(
        part.live, part.live_sessions, replica.nodes, part.rooms, replica.observer, part.background
    )
    await applier.apply("n1", "node-1:1", message, latest)  # type: ignore[arg-type]


async def tell(replica: Replica, node: FakeNode, key: SessionKey, silence: float | None) -> None:
    """A node says that a session has been silent for so long; None: that something comes from its client."""
    quiet = None if silence is None else timedelta(seconds=silence)
    await apply(replica, node.happened(MEETING, MediaStateEvent(key, connected=silence is None, silence=quiet)))


async def close(replica: Replica, node: FakeNode, key: SessionKey) -> None:
    await apply(replica, node.happened(MEETING, MediaStateEvent(key, connected=False)))


async def pass_time(seconds: float, *replicas: Replica) -> None:
    for _ in range(round(seconds / STEP)):
        replicas[0].clock.move(STEP)
        for one in replicas:
            await one.part.sweeper.sweep()


async def is_in(replica: Replica, joined: Joined) -> bool:
    return (await replica.view()).participant(joined.participant.id) is not None


async def seconds_until_out(joined: Joined, *replicas: Replica, limit: float = 90) -> float:
    """Lets time pass until somebody is out; how long that took."""
    began = replicas[0].clock.now()
    while await is_in(replicas[0], joined):
        await pass_time(STEP, *replicas)
        assert (replicas[0].clock.now() - began).total_seconds() <= limit, "still in the meeting"
    return (replicas[0].clock.now() - began).total_seconds()


@pytest.fixture
async def ana(replica: Replica, node: FakeNode) -> Joined:
    """Somebody in a call whose last heartbeat is of this moment, in a control plane that has run for a while."""
    await pass_time(30, replica)
    joined = await replica.join("Ana")
    await tell(replica, node, key_of(joined), None)
    await pass_time(40, replica)
    await replica.part.presence.heartbeat(attendee(joined))
    return joined


async def kill(replica: Replica, node: FakeNode, joined: Joined) -> None:
    """Nothing comes of a client any more; its node has just noticed."""
    await pass_time(NOTICED, replica)
    await tell(replica, node, key_of(joined), NOTICED)


async def test_a_killed_client_is_out_after_15_seconds(replica: Replica, node: FakeNode, ana: Joined) -> None:
    killed = replica.clock.now()
    await kill(replica, node, ana)
    person = (await replica.view()).participant(ana.participant.id)
    assert person is not None
    assert person.state is ParticipantState.RECONNECTING, "others are shown at once that something is wrong"

    await seconds_until_out(ana, replica)

    assert OUT - 1 <= (replica.clock.now() - killed).total_seconds() <= OUT
    await replica.settle()
    assert not node.sessions[MEETING], "its session is closed"


async def test_with_another_replica_for_each_step_they_leave_once(
    replica: Replica, make_replica: MakeReplica, node: FakeNode, ana: Joined
) -> None:
    other = make_replica()
    replica.part.start()
    ben = await replica.join("Ben")
    watching = Watching(replica, ben)
    await pass_time(25, replica, other)
    await other.part.presence.heartbeat(attendee(ana))
    await replica.part.presence.heartbeat(attendee(ben))
    killed = replica.clock.now()
    await pass_time(NOTICED, replica, other)
    await tell(other, node, key_of(ana), NOTICED)

    await seconds_until_out(ana, replica, other)

    assert (replica.clock.now() - killed).total_seconds() <= OUT
    await asyncio.gather(*[one.part.sweeper.sweep() for one in (replica, other)])
    await eventually(lambda: watching.of("participant_left"))
    left = participant_left(MEETING, ana.participant.id, LeaveReason.PRESENCE_EXPIRED)
    assert [event for event in watching.events if event.HasField("participant_left")] == [left]
    assert await is_in(replica, ben)
    await watching.stop()


async def test_who_comes_again_from_another_device_is_in_twice_for_15_seconds_at_most(
    replica: Replica, node: FakeNode, ana: Joined
) -> None:
    killed = replica.clock.now()
    await pass_time(5, replica)
    again = await replica.join("Ana")
    await tell(replica, node, key_of(again), None)
    await pass_time(NOTICED - 5, replica)
    await tell(replica, node, key_of(ana), NOTICED)

    await seconds_until_out(ana, replica)

    assert (replica.clock.now() - killed).total_seconds() <= OUT
    (person,) = (await replica.view()).participants
    assert (person.id, person.state) == (again.participant.id, ParticipantState.CONNECTED)


async def test_who_sends_heartbeats_stays_without_media(replica: Replica, node: FakeNode, ana: Joined) -> None:
    await pass_time(NOTICED, replica)
    await tell(replica, node, key_of(ana), NOTICED)
    await pass_time(3, replica)
    intervals = []
    for _ in range(30):
        beat = await replica.part.presence.heartbeat(attendee(ana))
        intervals.append(beat.interval)
        await pass_time(beat.interval, replica)

    assert await is_in(replica, ana)
    assert set(intervals) == {4.0}, "who is missed sooner is asked to call sooner"
    assert await seconds_until_out(ana, replica) <= OUT - 4, "their last heartbeat is that old"


async def react(replica: Replica, joined: Joined) -> None:
    await replica.part.reactions.react(attendee(joined), "\U0001f44d", "r1")


async def restart_ice(replica: Replica, joined: Joined) -> None:
    await replica.part.media.renegotiate(attendee(joined), MediaOffer(ICE_RESTART, TRACKS), "restart")


async def open_stream(replica: Replica, joined: Joined) -> None:
    watching = Watching(replica, joined, cursor="")
    await eventually(lambda: watching.messages)
    await watching.stop()


CALLS: dict[str, Callable[[Replica, Joined], Awaitable[object]]] = {
    "heartbeat": lambda replica, who: replica.part.presence.heartbeat(attendee(who)),
    "slots": lambda replica, who: replica.part.media.update_slots(attendee(who), []),
    "tracks": lambda replica, who: replica.part.media.update_tracks(attendee(who), TRACKS),
    "explain": lambda replica, who: replica.part.media.explain(attendee(who)),
    "react": react,
    "ICE restart": restart_ice,
    "stream": open_stream,
}


@pytest.mark.parametrize("name", CALLS)
async def test_every_call_is_a_sign_of_life(replica: Replica, node: FakeNode, ana: Joined, name: str) -> None:
    await kill(replica, node, ana)
    await pass_time(5, replica)

    await CALLS[name](replica, ana)

    assert OUT - 1 <= await seconds_until_out(ana, replica) <= OUT


@pytest.mark.parametrize("name", CALLS)
async def test_every_call_is_one_while_media_flows(replica: Replica, ana: Joined, name: str) -> None:
    await pass_time(30, replica)

    await CALLS[name](replica, ana)

    assert 60 <= await seconds_until_out(ana, replica) <= 61


async def test_who_was_away_for_ten_seconds_comes_back_unharmed(replica: Replica, node: FakeNode, ana: Joined) -> None:
    await kill(replica, node, ana)
    await pass_time(10 - NOTICED, replica)

    await tell(replica, node, key_of(ana), None)

    (person,) = (await replica.view()).participants
    assert person.state is ParticipantState.CONNECTED
    assert 50 <= await seconds_until_out(ana, replica) <= 51, "60 s after the last heartbeat, as ever"


async def test_a_heartbeat_after_silence_is_as_rare_as_before(replica: Replica, node: FakeNode, ana: Joined) -> None:
    await kill(replica, node, ana)
    silent = await replica.part.presence.heartbeat(attendee(ana))
    await tell(replica, node, key_of(ana), None)

    assert (silent.interval, (await replica.part.presence.heartbeat(attendee(ana))).interval) == (4.0, 10.0)
    assert 60 <= await seconds_until_out(ana, replica) <= 61


async def test_a_silence_makes_nobodys_stay_longer(replica: Replica, node: FakeNode, ana: Joined) -> None:
    """Media went on for 55 s without a call."""
    await pass_time(55, replica)
    await tell(replica, node, key_of(ana), 1.0)

    assert await seconds_until_out(ana, replica) <= 6


async def test_who_never_connected_has_a_minute(replica: Replica, node: FakeNode) -> None:
    await pass_time(30, replica)
    ben = await replica.join("Ben")
    await pass_time(30, replica)
    await close(replica, node, key_of(ben))

    assert 30 <= await seconds_until_out(ben, replica) <= 31


async def test_a_session_that_ended_is_silent_from_then_on(replica: Replica, node: FakeNode, ana: Joined) -> None:
    await close(replica, node, key_of(ana))

    assert OUT - 1 <= await seconds_until_out(ana, replica) <= OUT


async def test_the_end_of_a_silent_session_is_no_new_sign(replica: Replica, node: FakeNode, ana: Joined) -> None:
    await kill(replica, node, ana)
    await pass_time(3, replica)
    await close(replica, node, key_of(ana))

    assert await seconds_until_out(ana, replica) <= OUT - NOTICED - 3


async def test_the_silence_of_a_replaced_session_means_nothing(replica: Replica, node: FakeNode, ana: Joined) -> None:
    await replica.part.media.renegotiate(attendee(ana), MediaOffer("another", TRACKS), "new")
    await pass_time(NOTICED, replica)

    await tell(replica, node, key_of(ana), NOTICED)
    await close(replica, node, key_of(ana))

    assert 60 <= NOTICED + await seconds_until_out(ana, replica) <= 61


async def test_a_new_session_begins_without_the_silence_of_the_old_one(
    replica: Replica, node: FakeNode, ana: Joined
) -> None:
    await kill(replica, node, ana)

    await replica.part.media.renegotiate(attendee(ana), MediaOffer("another", TRACKS), "new")

    assert (await replica.part.presence.heartbeat(attendee(ana))).interval == 10.0
    assert 60 <= await seconds_until_out(ana, replica) <= 61


async def test_a_silence_told_during_a_look_is_not_forgotten(
    replica: Replica, make_replica: MakeReplica, node: FakeNode, ana: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep of one replica has read that nothing is due for a minute; the silence comes before it says so."""
    other = make_replica()
    await pass_time(25, replica, other)
    await replica.part.presence.heartbeat(attendee(ana))
    killed = replica.clock.now()
    await pass_time(NOTICED, replica, other)
    await replica.part.live.look_soon(MEETING, now=True)
    with monkeypatch.context() as patched:
        gate = Gate(patched, other.part.live, "view", after=True)
        sweeping = asyncio.create_task(other.part.sweeper.sweep())
        await gate.reached.wait()
        await tell(replica, node, key_of(ana), NOTICED)
        gate.open()
        await sweeping

    await seconds_until_out(ana, replica, other)

    assert (replica.clock.now() - killed).total_seconds() <= OUT


async def test_a_silence_is_looked_at_although_its_replica_failed_in_between(
    replica: Replica, node: FakeNode, ana: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event has been applied, and comes again since the look could not be asked for."""
    await pass_time(NOTICED, replica)
    media = MediaStateEvent(key_of(ana), connected=False, silence=timedelta(seconds=NOTICED))
    happened = node.happened(MEETING, media)

    async def fails(meeting_id: str, *, now: bool = False) -> None:
        del meeting_id, now
        raise store_unavailable("live state")

    with monkeypatch.context() as patched:
        patched.setattr(replica.part.live, "look_soon", fails)
        with pytest.raises(DomainError):
            await apply(replica, happened)
    await apply(replica, happened)

    assert await seconds_until_out(ana, replica) <= OUT - NOTICED


@pytest.mark.parametrize("silence", [9.0, None], ids=["silent", "gone"])
async def test_a_nodes_state_tells_of_it_too(
    replica: Replica, node: FakeNode, ana: Joined, silence: float | None
) -> None:
    """The event was lost: the node's whole state is read."""
    await pass_time(9, replica)
    quiet = NodeSession(
        key_of(ana), connected=False, closed=False, slots=(), tracks=TRACKS, silence=timedelta(seconds=silence or 0)
    )
    sessions = () if silence is None else (quiet,)
    room = NodeRoom(MEETING, node.epochs[MEETING], sessions, "")

    await apply(replica, room, latest=NodePosition(node.instance_id, len(node.history)))

    (person,) = (await replica.view()).participants
    assert person.state is ParticipantState.RECONNECTING
    # Of a session that is not there any more nobody knows since when.
    assert await seconds_until_out(ana, replica) <= OUT - (silence or 0)
