"""What nodes say of sessions becomes what happens in meetings, on a real Redis."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from control_plane.log.events import dominant_speaker_changed, participant_updated
from control_plane.log.participant import (
    MediaStateEvent,
    Participant,
    ParticipantState,
    SessionKey,
)
from control_plane.log.position import NodePosition
from control_plane.log.slots import SlotAssignment, TrackEncodings
from control_plane.media.events import encodings_changed, slots_changed
from control_plane.media.model import MediaOffer
from control_plane.media.sessions import session_id_of
from control_plane.nodes.control import EncodingsEvent, RoomSlotStatesEvent, SlotStatesEvent, SpeakerEvent
from tests.control_plane.conftest import MakeReplica
from tests.support.live import (
    TRACKS,
    FakeNode,
    Replica,
    Watching,
    attendee,
    eventually,
)

MEETING = "12345678901"


async def test_a_nodes_event_about_everyones_slots_reaches_each_with_their_own(
    replica: Replica, node: FakeNode
) -> None:
    replica.part.start()
    joined = [await replica.join(name) for name in ("Ana", "Ben", "Cleo")]
    watching = [Watching(replica, one) for one in joined]
    await eventually(lambda: node.watchers)
    keys = [SessionKey(one.participant.session_id, one.participant.id) for one in joined]
    shown = [SlotAssignment("4", key.participant_id, "1") for key in keys]
    changes = [SlotStatesEvent(key, (slot,)) for key, slot in zip(keys[:2], shown[:2], strict=True)]
    gone = SlotStatesEvent(SessionKey("gone", "gone"), (shown[0],))
    strange = SlotStatesEvent(SessionKey(keys[2].session_id, "another"), (shown[0],))
    before = (await replica.view()).cursor
    node.happened(MEETING, RoomSlotStatesEvent((gone,)))
    node.happened(MEETING, RoomSlotStatesEvent((gone, strange, *changes)))
    node.happened(MEETING, RoomSlotStatesEvent(tuple(changes)))
    node.happened(MEETING, SpeakerEvent(keys[0].participant_id))

    speaks = dominant_speaker_changed(MEETING, keys[0].participant_id)
    await eventually(lambda: all(speaks in one.events for one in watching))

    told = [[event for event in one.events if event.HasField("slots_changed")] for one in watching]
    assert told == [[slots_changed(MEETING, (shown[0],))], [slots_changed(MEETING, (shown[1],))], []]
    assert shown[1] in (await replica.view(participant_id=keys[1].participant_id)).slots
    assert (await replica.view()).cursor != before
    for one in watching:
        await one.stop()


async def test_a_nodes_events_reach_the_meeting(replica: Replica, node: FakeNode) -> None:
    replica.part.start()
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    watching = Watching(replica, ana)
    await eventually(lambda: node.watchers)
    key = SessionKey(ana.participant.session_id, ana.participant.id)
    shown = SlotAssignment("4", ben.participant.id, "1")
    node.happened(MEETING, MediaStateEvent(key, connected=True))
    node.happened(MEETING, SlotStatesEvent(key, (shown,)))
    node.happened(MEETING, SpeakerEvent(ben.participant.id))

    await eventually(lambda: dominant_speaker_changed(MEETING, ben.participant.id) in watching.events)

    view = await replica.view(participant_id=ana.participant.id)
    assert slots_changed(MEETING, (shown,)) in watching.events
    assert shown in view.slots
    assert view.dominant_speaker == ben.participant.id
    person = view.participant(ana.participant.id)
    assert person is not None
    assert person.state is ParticipantState.CONNECTED
    node.happened(MEETING, MediaStateEvent(key, connected=False))
    lost = replace(person, state=ParticipantState.RECONNECTING)
    await eventually(lambda: participant_updated(MEETING, lost) in watching.events)
    await watching.stop()


async def test_encodings_that_are_needed_are_told_to_their_sender_alone(replica: Replica, node: FakeNode) -> None:
    replica.part.start()
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    of_ana, of_ben = Watching(replica, ana), Watching(replica, ben)
    await eventually(lambda: node.watchers)
    key = SessionKey(ana.participant.session_id, ana.participant.id)
    low, none, all_three = (TrackEncodings("1", rids) for rids in (("q",), (), ("q", "h", "f")))
    recoded, screen = TrackEncodings("1", ("q", "h", "f"), "H264"), TrackEncodings("2", (), "VP8")
    for needed in (low, low, none, all_three, recoded, screen):
        node.happened(MEETING, EncodingsEvent(key, (needed,)))
    node.happened(MEETING, SpeakerEvent(ben.participant.id))
    await eventually(lambda: dominant_speaker_changed(MEETING, ben.participant.id) in of_ana.events)
    await eventually(lambda: dominant_speaker_changed(MEETING, ben.participant.id) in of_ben.events)

    assert [event for event in of_ana.events if event.HasField("encodings_changed")] == [
        encodings_changed((low,)),  # once: the second event said nothing new
        encodings_changed((none,)),
        encodings_changed((all_three,)),
        encodings_changed((recoded,)),
        encodings_changed((screen,)),
    ]
    assert not of_ben.of("encodings_changed")
    assert (await replica.view(participant_id=ana.participant.id)).encodings == (recoded, screen)
    assert (await replica.view(participant_id=ben.participant.id)).encodings == ()
    await of_ana.stop()
    await of_ben.stop()


async def test_encodings_reach_their_sender_within_a_tenth_of_a_second(replica: Replica, node: FakeNode) -> None:
    replica.part.start()
    ana = await replica.join("Ana")
    watching = Watching(replica, ana)
    await eventually(lambda: node.watchers)
    key = SessionKey(ana.participant.session_id, ana.participant.id)

    async def passes(rid: str) -> float:
        begin = time.perf_counter()
        needed = (TrackEncodings("1", (rid,)),)
        node.happened(MEETING, EncodingsEvent(key, needed))
        await eventually(lambda: watching.events[-1:] == [encodings_changed(needed)])
        return time.perf_counter() - begin

    times = [await passes("qf"[turn % 2]) for turn in range(21)]

    # The median, since others share the machine; anything that polls or collects would show in it.
    assert sorted(times)[10] < 0.1
    await watching.stop()


async def test_a_new_session_begins_with_its_own_encodings(replica: Replica, node: FakeNode) -> None:
    replica.part.start()
    ana = await replica.join("Ana")
    watching = Watching(replica, ana)
    await eventually(lambda: node.watchers)
    old = SessionKey(ana.participant.session_id, ana.participant.id)
    node.happened(MEETING, EncodingsEvent(old, (TrackEncodings("1", ("q",)),)))
    await eventually(lambda: watching.events)
    new = SessionKey(session_id_of(ana.participant.id, "r1"), ana.participant.id)
    await replica.part.live_sessions.begin_session(MEETING, ana.participant.id, new.session_id)
    needed = (TrackEncodings("1", ("q", "h")),)
    node.happened(MEETING, EncodingsEvent(new, needed))  # before the session is theirs
    node.happened(MEETING, SpeakerEvent(ana.participant.id))
    await eventually(lambda: dominant_speaker_changed(MEETING, ana.participant.id) in watching.events)
    assert encodings_changed(needed) not in watching.events

    await replica.part.media.renegotiate(attendee(ana), MediaOffer("new", TRACKS), "r1")

    await eventually(lambda: encodings_changed(needed) in watching.events)
    assert (await replica.view(participant_id=ana.participant.id)).encodings == needed
    node.happened(MEETING, EncodingsEvent(old, (TrackEncodings("1", ("f",)),)))
    node.happened(MEETING, SpeakerEvent(""))
    await eventually(lambda: dominant_speaker_changed(MEETING, "") in watching.events)
    assert (await replica.view(participant_id=ana.participant.id)).encodings == needed
    await watching.stop()


async def test_a_nodes_state_says_which_encodings_are_needed(replica: Replica, node: FakeNode) -> None:
    ana = await replica.join("Ana")
    node.encodings[ana.participant.session_id] = needed = (TrackEncodings("1", ("h",)),)
    watching = Watching(replica, ana)

    replica.part.start()

    await eventually(lambda: encodings_changed(needed) in watching.events)
    await watching.stop()


async def test_events_are_applied_once_when_a_control_plane_dies_and_another_goes_on(
    replica: Replica, make_replica: MakeReplica, node: FakeNode
) -> None:
    replica.part.start()
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    watching = Watching(replica, ana)
    await eventually(lambda: node.watchers)
    for number in range(10):
        node.happened(MEETING, SpeakerEvent((ana, ben)[number % 2].participant.id))
    await eventually(lambda: len(watching.events) == 11)
    cursor = watching.cursor
    await watching.stop()
    # A process that is killed saves no position: the one that goes on gets events again that were applied.
    await replica.stop()
    await make_replica().part.consumers._leases.save(node.node_id, NodePosition(node.instance_id, 2))
    for number in range(10, 14):
        node.happened(MEETING, SpeakerEvent((ana, ben)[number % 2].participant.id))

    other = make_replica()
    other.part.start()
    again = Watching(other, ana, cursor=cursor)
    await eventually(lambda: len(again.events) >= 4)
    await asyncio.sleep(0.1)

    speakers = [one.participant.rsplit("/")[-1] for one in again.of("dominant_speaker_changed")]
    assert speakers == [(ana, ben)[number % 2].participant.id for number in range(10, 14)]
    await again.stop()


async def test_a_nodes_state_replaces_events_that_are_gone(replica: Replica, node: FakeNode) -> None:
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    key = SessionKey(ben.participant.session_id, ben.participant.id)
    await replica.part.live.change(MEETING, ben.participant.id, _connected)
    del node.sessions[MEETING][ben.participant.id]  # Ben's session closed while nobody listened
    orphan = SessionKey("00000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-000000000001")
    node.sessions[MEETING][orphan.participant_id] = orphan

    replica.part.start()
    await eventually(lambda: orphan.participant_id not in node.sessions[MEETING])
    states = {}
    for _ in range(100):
        states = {one.id: one.state for one in (await replica.view()).participants}
        if states[ben.participant.id] is ParticipantState.RECONNECTING:
            break
        await asyncio.sleep(0.01)

    assert states[ben.participant.id] is ParticipantState.RECONNECTING
    assert states[ana.participant.id] is ParticipantState.JOINING
    assert key.participant_id == ben.participant.id


async def test_a_session_that_was_replaced_says_nothing_about_its_participant(replica: Replica, node: FakeNode) -> None:
    replica.part.start()
    ana = await replica.join("Ana")
    old = SessionKey(ana.participant.session_id, ana.participant.id)
    await replica.part.media.renegotiate(attendee(ana), MediaOffer("new", TRACKS), "r1")
    new = SessionKey((await replica.view()).participants[0].session_id, ana.participant.id)
    await eventually(lambda: node.watchers)
    node.happened(MEETING, MediaStateEvent(new, connected=True))
    node.happened(MEETING, MediaStateEvent(old, connected=False))
    node.happened(MEETING, SpeakerEvent(ana.participant.id))
    for _ in range(100):
        if (await replica.view()).dominant_speaker:
            break
        await asyncio.sleep(0.01)

    assert (await replica.view()).participants[0].state is ParticipantState.CONNECTED


def _connected(participant: Participant) -> Participant:
    return replace(participant, state=ParticipantState.CONNECTED)
