"""What somebody in a meeting can do, on a real Redis, with nodes at the port."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from control_plane.joining.service import Joined
from control_plane.kernel.caller import CallingParticipant
from control_plane.kernel.errors import DomainError
from control_plane.kernel.roles import ParticipantRole
from control_plane.log.convert import tracks_from
from control_plane.log.events import dominant_speaker_changed, participant_updated
from control_plane.log.participant import (
    MediaStateEvent,
    Participant,
    ParticipantState,
    SessionKey,
    Track,
    TrackKind,
    TrackSource,
)
from control_plane.log.position import NodePosition
from control_plane.log.slots import SlotAssignment, TrackEncodings
from control_plane.media.events import encodings_changed, slots_changed
from control_plane.media.model import MediaOffer, SlotMode, SlotSelection
from control_plane.media.offers import check_offer
from control_plane.media.sessions import session_id_of
from control_plane.meetings.events import meeting_ended, meeting_updated
from control_plane.nodes.control import EncodingsEvent, RoomSlotStatesEvent, SlotStatesEvent, SpeakerEvent
from control_plane.reactions.events import reaction_sent
from tests.control_plane.conftest import MakeReplica
from tests.support.live import (
    HOST,
    ICE_RESTART,
    NOON,
    OTHER_MEDIA,
    TRACKS,
    FakeNode,
    MemoryDirectory,
    Replica,
    Watching,
    attendee,
    eventually,
)

MEETING = "12345678901"
MICROPHONE_MUTED = Track("0", TrackKind.AUDIO, TrackSource.MICROPHONE, muted=True)


async def test_a_new_offer_ends_the_old_session(replica: Replica, node: FakeNode) -> None:
    ana = await replica.join("Ana")
    answer = await replica.part.media.renegotiate(attendee(ana), MediaOffer("new", TRACKS), "r1")

    view = await replica.view(participant_id=ana.participant.id)
    person = view.participants[0]
    assert person.id == ana.participant.id
    assert answer.sdp == f"answer to {person.session_id}" != ana.answer.sdp
    assert node.sessions[MEETING][person.id].session_id == person.session_id
    again = await replica.part.media.renegotiate(attendee(ana), MediaOffer("new", TRACKS), "r1")
    assert again.sdp == answer.sdp


async def test_an_offer_that_restarts_ice_keeps_the_session(replica: Replica, node: FakeNode) -> None:
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    before = (await replica.view(participant_id=ana.participant.id)).participants
    replica.part.start()
    watching = Watching(replica, ben)

    answers = [
        await replica.part.media.renegotiate(attendee(ana), MediaOffer(ICE_RESTART, TRACKS), request)
        for request in ("r1", "r1", "r2")
    ]

    assert answers[0].sdp == answers[1].sdp != answers[2].sdp
    assert answers[0].slots == ana.answer.slots
    assert (await replica.view(participant_id=ana.participant.id)).participants == before
    assert node.sessions[MEETING][ana.participant.id].session_id == ana.participant.session_id
    assert watching.events == [], "nobody else need know"
    await watching.stop()


async def test_an_offer_with_other_media_keeps_the_session_and_changes_its_tracks_and_slots(
    replica: Replica, node: FakeNode
) -> None:
    """SDP-7."""
    replica.part.start()
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    await eventually(lambda: node.watchers)
    of_ana, of_ben = Watching(replica, ana), Watching(replica, ben)
    key = SessionKey(ana.participant.session_id, ana.participant.id)
    for slot in (SlotAssignment("3", ben.participant.id, "1"), SlotAssignment("4", ben.participant.id, "2")):
        node.happened(MEETING, SlotStatesEvent(key, (slot,)))
    needed = tuple(TrackEncodings(mid, ("q",)) for mid in ("1", "9"))
    node.happened(MEETING, EncodingsEvent(key, needed))
    await eventually(lambda: encodings_changed(needed) in of_ana.events)
    screen = Track("9", TrackKind.VIDEO, TrackSource.SCREEN)
    offer = MediaOffer(OTHER_MEDIA, (MICROPHONE_MUTED, screen))

    first, again = [await replica.part.media.renegotiate(attendee(ana), offer, "r1") for _ in range(2)]

    assert first.sdp == again.sdp
    assert [slot.mid for slot in first.slots] == ["4", "5"]
    view = await replica.view(participant_id=ana.participant.id)
    person = view.participant(ana.participant.id)
    assert person is not None
    assert (person.session_id, person.tracks) == (key.session_id, offer.tracks)
    slots = {slot.mid: slot.source_mid for slot in view.slots}
    assert slots == {"4": "2", "5": ""}, "one has ended, one goes on and one is new"
    assert [encodings.mid for encodings in view.encodings] == ["9"], "of tracks that have ended nothing is needed"
    assert [tracks_from(one.participant.tracks) for one in of_ben.of("participant_updated")] == [offer.tracks]
    await of_ana.stop()
    await of_ben.stop()


async def test_answers_bring_relays_with_credentials_of_the_participant(
    make_replica: MakeReplica, node: FakeNode
) -> None:
    replica = make_replica(turn_uris=("turn:192.0.2.1:3478",), turn_secret="north")
    await replica.register(node)
    ana = await replica.join("Ana")
    renewed = await replica.part.media.renegotiate(attendee(ana), MediaOffer("new", TRACKS), "r1")
    for answer in (ana.answer, renewed):
        (server,) = answer.ice_servers
        assert server.uris == ("turn:192.0.2.1:3478",)
        assert server.username.endswith(f":{ana.participant.id}")
        assert server.credential


async def test_muting_is_seen_by_everyone_and_by_the_node(replica: Replica, node: FakeNode) -> None:
    replica.part.start()
    ana, ben = await replica.join("Ana"), await replica.join("Ben")
    watching = Watching(replica, ben)

    changed = await replica.part.media.update_tracks(attendee(ana), [MICROPHONE_MUTED])
    await eventually(lambda: participant_updated(MEETING, changed) in watching.events)

    assert changed.tracks == (MICROPHONE_MUTED, TRACKS[1])
    assert node.tracks[ana.participant.session_id] == (MICROPHONE_MUTED,)
    await watching.stop()


async def test_a_track_that_was_not_offered_is_unknown(replica: Replica) -> None:
    ana = await replica.join("Ana")
    stranger = Track("9", TrackKind.AUDIO, TrackSource.MICROPHONE)

    with pytest.raises(DomainError) as refused:
        await replica.part.media.update_tracks(attendee(ana), [stranger])

    assert refused.value.reason == "MID_UNKNOWN"
    assert refused.value.field_violations[0].field == "tracks[0].mid"


async def test_muting_works_while_the_node_is_away(replica: Replica, node: FakeNode) -> None:
    ana = await replica.join("Ana")
    node.crash()

    changed = await replica.part.media.update_tracks(attendee(ana), [MICROPHONE_MUTED])

    assert changed.tracks[0].muted


async def test_slots_can_only_be_set_where_the_node_is(replica: Replica, node: FakeNode) -> None:
    ana = await replica.join("Ana")
    selection = SlotSelection("4", SlotMode.AUTOMATIC)
    await replica.part.media.update_slots(attendee(ana), [selection])
    node.crash()

    with pytest.raises(DomainError) as refused:
        await replica.part.media.update_slots(attendee(ana), [selection])

    assert refused.value.reason == "MEDIA_NODE_UNAVAILABLE"
    assert refused.value.retry_after is not None


async def test_an_explanation_comes_from_the_rooms_node(replica: Replica, node: FakeNode) -> None:
    ana = await replica.join("Ana")

    explanation = await replica.part.media.explain(attendee(ana))

    assert explanation == f"explanation of {ana.participant.session_id}".encode()
    del node.sessions[MEETING][ana.participant.id]
    await _unexplained(replica, ana)
    node.crash()
    await _unexplained(replica, ana)
    await replica.part.presence.leave(attendee(ana))
    with pytest.raises(DomainError) as refused:
        await replica.part.media.explain(attendee(ana))
    assert refused.value.reason == "PARTICIPANT_NOT_FOUND"


async def _unexplained(replica: Replica, who: Joined) -> None:
    with pytest.raises(DomainError) as refused:
        await replica.part.media.explain(attendee(who))
    assert refused.value.reason == "MEDIA_NODE_UNAVAILABLE"
    assert refused.value.retry_after is not None


async def test_five_reactions_a_second_and_a_retry_is_shown_once(replica: Replica) -> None:
    replica.part.start()
    ana = await replica.join("Ana")
    watching = Watching(replica, ana)
    for number in range(5):
        await replica.part.reactions.react(attendee(ana), "x", f"r{number}")
    await replica.part.reactions.react(attendee(ana), "x", "r4")

    with pytest.raises(DomainError) as refused:
        await replica.part.reactions.react(attendee(ana), "x", "r5")

    assert refused.value.reason == "RATE_LIMITED"
    assert refused.value.retry_after == pytest.approx(0.2)
    replica.clock.move(0.2)
    await replica.part.reactions.react(attendee(ana), "x", "r5")
    await eventually(lambda: len(watching.events) >= 6)
    assert watching.events == [reaction_sent(MEETING, ana.participant.id, "x")] * 6
    await watching.stop()


async def test_leaving_twice_is_harmless(replica: Replica, node: FakeNode) -> None:
    ana = await replica.join("Ana")
    await replica.part.presence.leave(attendee(ana))
    await replica.part.presence.leave(attendee(ana))
    await replica.settle()

    assert (await replica.view()).participants == ()
    assert not node.sessions[MEETING]


@pytest.mark.parametrize(("age", "renewed"), [(299, False), (301, True)])
async def test_a_token_is_renewed_in_the_second_half_of_its_life(replica: Replica, age: int, renewed: bool) -> None:  # noqa: FBT001
    ana = await replica.join("Ana")
    life = (NOON - timedelta(seconds=age), NOON + timedelta(seconds=600 - age))

    beat = await replica.part.presence.heartbeat(CallingParticipant(MEETING, ana.participant.id, life))

    assert (beat.token is not None) is renewed


async def test_microphones_are_muted_on_entry_except_the_hosts(replica: Replica, directory: MemoryDirectory) -> None:
    directory.add(mute_on_entry=True)
    ana, host = await replica.join("Ana"), await replica.join("Hanna", caller=HOST)

    assert [track.muted for track in ana.participant.tracks] == [True, False]
    assert [track.muted for track in host.participant.tracks] == [False, False]


# ---------------------------------------------------------------- what the database says


async def test_a_change_of_the_meeting_reaches_its_participants_once(
    replica: Replica, make_replica: MakeReplica, directory: MemoryDirectory
) -> None:
    replica.part.start()
    ana = await replica.join("Ana")
    watching = Watching(replica, ana)
    meeting = directory.rename(MEETING, "A new topic")
    entry = directory.entries[0]
    await replica.part.relay.run_once()
    directory.entries.append(entry)  # the relay died before it could forget the entry
    await make_replica().part.relay.run_once()
    directory.end(MEETING)
    await replica.part.relay.run_once()
    await eventually(watching.task.done)

    assert watching.events == [meeting_updated(meeting), meeting_ended(MEETING, "")]


async def test_the_end_of_a_meeting_puts_everyone_out_and_releases_the_room(
    replica: Replica, directory: MemoryDirectory, node: FakeNode
) -> None:
    ana = await replica.join("Ana")
    directory.end(MEETING)
    await replica.part.relay.run_once()
    await replica.part.stays.flush(MEETING)
    await replica.settle()

    assert (await replica.view()).participants == ()
    assert MEETING not in node.epochs
    assert directory.stays[ana.participant.id].leave_time is not None
    for call in (replica.part.presence.heartbeat(attendee(ana)), replica.join("Ben")):
        with pytest.raises(DomainError) as refused:
            await call
        assert refused.value.reason in {"PARTICIPANT_NOT_FOUND", "MEETING_ENDED"}


# ---------------------------------------------------------------- what nodes say


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


def test_attendees_send_nothing() -> None:
    with pytest.raises(DomainError) as refused:
        check_offer(MediaOffer("x", TRACKS), ParticipantRole.ATTENDEE)

    assert refused.value.reason == "PUBLISH_NOT_ALLOWED"


def _connected(participant: Participant) -> Participant:
    return replace(participant, state=ParticipantState.CONNECTED)
