"""What somebody in a meeting can do, on a real Redis, with nodes at the port."""

from __future__ import annotations

import pytest

from control_plane.joining.service import Joined
from control_plane.kernel.errors import DomainError
from control_plane.kernel.roles import ParticipantRole
from control_plane.log.convert import tracks_from
from control_plane.log.events import participant_updated
from control_plane.log.participant import (
    SessionKey,
    Track,
    TrackKind,
    TrackSource,
)
from control_plane.log.slots import SlotAssignment, TrackEncodings
from control_plane.media.events import encodings_changed
from control_plane.media.model import MediaOffer, SlotMode, SlotSelection
from control_plane.media.offers import check_offer
from control_plane.nodes.control import EncodingsEvent, SlotStatesEvent
from tests.control_plane.conftest import MakeReplica
from tests.support.live import (
    HOST,
    ICE_RESTART,
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


async def test_microphones_are_muted_on_entry_except_the_hosts(replica: Replica, directory: MemoryDirectory) -> None:
    directory.add(mute_on_entry=True)
    ana, host = await replica.join("Ana"), await replica.join("Hanna", caller=HOST)

    assert [track.muted for track in ana.participant.tracks] == [True, False]
    assert [track.muted for track in host.participant.tracks] == [False, False]


# ---------------------------------------------------------------- what nodes say


def test_attendees_send_nothing() -> None:
    with pytest.raises(DomainError) as refused:
        check_offer(MediaOffer("x", TRACKS), ParticipantRole.ATTENDEE)

    assert refused.value.reason == "PUBLISH_NOT_ALLOWED"
