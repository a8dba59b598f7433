"""The agent's decisions: epochs, sessions, slots, mute, drain. The engine is a fake that remembers what it was told."""

import re
import uuid
from pathlib import Path

import pytest

from media_plane.node.agent import Agent, OpenSession
from media_plane.node.announcer import Announcer
from media_plane.node.errors import (
    EpochStaleError,
    MidUnknownError,
    NodeDrainingError,
    NodeFullError,
    RoomNotFoundError,
    SessionNotFoundError,
)
from media_plane.node.event_log import EventLog
from media_plane.node.rooms import Rooms, Session, SlotChoice, Track, TrackSource
from media_plane.node.sdp import SdpNotAcceptableError
from media_plane.node.slot_director import SlotDirector
from media_plane.node.slot_policy import TrackKey
from parley.sfu.v1 import media_pb2
from tests.support.fake_engine import FakeEngine, port

OFFER = (Path(__file__).parent / "offers" / "chromium.sdp").read_bytes().decode()


class Node:
    """An agent with everything it needs."""

    def __init__(self) -> None:
        self.engine = FakeEngine()
        self.rooms = Rooms()
        self.log = EventLog()
        announcer = Announcer(self.log, now_unix_nano=lambda: 1_000)
        self.agent = Agent(
            engine=port(self.engine),
            rooms=self.rooms,
            director=SlotDirector(port(self.engine), announcer),
            announcer=announcer,
            addresses=lambda: ["127.0.0.1"],
            now_unix_nano=lambda: 1_000,
        )

    def join(
        self, name: str, *, room: str = "r", epoch: int = 1, choices: tuple[SlotChoice, ...] = (), session: str = ""
    ) -> Session:
        command = OpenSession(name, session or str(uuid.uuid4()), OFFER, tracks(), choices)
        return self.agent.open_session(room, epoch, command)

    def replace(self, name: str) -> Session:
        """Opens a session of the same person on a connection of another certificate."""
        offer = re.sub(r"(a=fingerprint:sha-256) ..:", r"\1 00:", restart_offer(1))
        return self.agent.open_session("r", 1, OpenSession(name, str(uuid.uuid4()), offer, tracks(), ()))

    def shown(self, session: Session) -> list[str]:
        return [slot.shown.participant_id if slot.shown else "" for slot in session.video_slots()]

    def told(self) -> list[str]:
        return [str(event.WhichOneof("kind")) for event in self.log.after(0)]


@pytest.fixture
def node() -> Node:
    return Node()


def tracks(*, camera_muted: bool = False, screen_muted: bool = True) -> list[Track]:
    return [
        Track("0", "audio", TrackSource.MICROPHONE, muted=False),
        Track("1", "video", TrackSource.CAMERA, muted=camera_muted),
        Track("2", "video", TrackSource.SCREEN, muted=screen_muted),
    ]


def test_the_same_session_again_gives_the_same_answer_and_opens_nothing(node: Node) -> None:
    first = node.join("a", session="s")
    assert node.join("a", session="s") is first
    assert node.engine.named("open_session") == [("r", "s")]


def test_a_new_session_of_a_participant_replaces_the_older_one(node: Node) -> None:
    viewer = node.join("viewer")
    old = node.join("a")
    new = node.replace("a")
    assert node.engine.named("close_session") == [(old.session_id, "replaced")]
    assert node.rooms.session_by_id(old.session_id) is None
    assert node.shown(viewer) == ["a", ""]
    assert viewer.slots["5"].requested is not None
    assert viewer.slots["5"].requested[1] == new.session_id


def restart_offer(number: int) -> str:
    """Return the offer as a browser writes it again with other ICE credentials and one more candidate."""
    offer = re.sub(r"a=ice-ufrag:\S+", f"a=ice-ufrag:new{number}", OFFER)
    offer = re.sub(r"a=ice-pwd:\S+", f"a=ice-pwd:{number:024d}", offer)
    assert offer.count("a=ice-ufrag:new") > 0
    return offer.replace("a=rtcp-mux", "a=candidate:9 1 udp 1 192.0.2.1 9 typ host\r\na=rtcp-mux", 1)


def test_other_ice_credentials_alone_keep_the_session(node: Node) -> None:
    viewer = node.join("viewer")
    first = node.join("a", session="first")
    answer = first.answer
    again = OpenSession("a", "second", restart_offer(1), tracks(camera_muted=True), [SlotChoice("5", "empty")])
    kept = node.agent.open_session("r", 1, again)
    assert kept is first
    assert kept.session_id == "first"
    assert node.engine.named("restart_ice") == [("first", "new1", f"{1:024d}")]
    assert node.engine.named("close_session") == []
    assert len(node.engine.named("open_session")) == 2
    assert kept.answer == answer.replace("a=ice-ufrag:node", "a=ice-ufrag:node1").replace(" 2 IN IP4", " 3 IN IP4")
    assert node.shown(viewer) == ["", ""], "the tracks are those of the new offer"
    assert kept.slots["5"].choice.selection == "empty"
    assert node.agent.open_session("r", 1, again) is first, "a retry restarts nothing"
    node.agent.open_session("r", 1, OpenSession("a", "third", restart_offer(2), tracks(), []))
    assert len(node.engine.named("restart_ice")) == 2


def test_an_offer_without_an_ice_restart_keeps_session_and_credentials(node: Node) -> None:
    """SDP-7: other credentials would be a restart that the client did not ask for (RFC 8839 section 4.4.3.1)."""
    first = node.join("a", session="first")
    answer = first.answer
    again = OpenSession("a", "second", OFFER, tracks(camera_muted=True), [SlotChoice("5", "empty")])
    kept = node.agent.open_session("r", 1, again)
    assert kept is first
    assert node.engine.named("restart_ice") == node.engine.named("close_session") == []
    assert kept.answer == answer.replace(" 2 IN IP4", " 3 IN IP4")
    assert kept.tracks["1"].muted
    assert kept.slots["5"].choice.selection == "empty"
    assert node.agent.open_session("r", 1, again) is first
    assert kept.answer == answer.replace(" 2 IN IP4", " 3 IN IP4"), "a retry gets the same answer"


@pytest.mark.parametrize(
    "changes",
    [
        {"a=fingerprint:sha-256 ..:": "a=fingerprint:sha-256 00:"},
        # Of the same certificate.
        {"o=- ": "o=- 1", "a=ssrc:": "a=no-ssrc:"},
    ],
)
def test_another_connection_makes_a_new_session(node: Node, changes: dict[str, str]) -> None:
    node.agent.open_session("r", 1, OpenSession("a", "first", restart_offer(0), tracks(), []))
    offer = restart_offer(1)
    for old, new in changes.items():
        offer = re.sub(old, new, offer)
    assert offer != restart_offer(1)
    session = node.agent.open_session("r", 1, OpenSession("a", "second", offer, tracks(), []))
    assert session.session_id == "second"
    assert node.engine.named("close_session") == [("first", "replaced")]


def test_a_restart_that_comes_too_late_is_a_new_session(node: Node) -> None:
    node.join("a", session="first")
    node.engine.refuse = "unknown_session"
    session = node.agent.open_session("r", 1, OpenSession("a", "second", restart_offer(1), tracks(), []))
    assert session.session_id == "second"


def test_an_older_epoch_is_refused_and_a_newer_one_taken_over(node: Node) -> None:
    node.join("a", epoch=5)
    for call in (
        lambda: node.join("b", epoch=4),
        lambda: node.agent.open_room("r", 4),
        lambda: node.agent.close_room("r", 4),
        lambda: node.agent.close_session("r", 4, "a"),
        lambda: node.agent.update_slots("r", 4, "a", []),
        lambda: node.agent.update_tracks("r", 4, "a", []),
        lambda: node.agent.request_key_frame("r", 4, TrackKey("a", "1")),
    ):
        with pytest.raises(EpochStaleError):
            call()
    node.agent.open_room("r", 6)
    assert node.rooms.get("r").epoch == 6
    assert node.rooms.get("r").sessions.keys() == {"a"}


def test_a_closed_rooms_epoch_is_remembered(node: Node) -> None:
    node.join("a", epoch=5)
    node.agent.close_room("r", 5)
    with pytest.raises(EpochStaleError):
        node.join("a", epoch=4)
    node.join("a", epoch=5)


def test_closing_what_is_closed_is_harmless(node: Node) -> None:
    node.agent.close_room("r", 1)
    node.agent.close_session("r", 1, "a")
    session = node.join("a")
    node.agent.close_session("r", 1, "a", str(uuid.uuid4()))
    assert node.rooms.session_count == 1
    node.agent.close_session("r", 1, "a", session.session_id)
    node.agent.close_session("r", 1, "a", session.session_id)
    assert node.rooms.session_count == 0


def test_who_leaves_leaves_the_slots_of_the_others(node: Node) -> None:
    viewer = node.join("viewer")
    node.join("a")
    node.join("b")
    assert node.shown(viewer) == ["a", "b"]
    node.agent.close_session("r", 1, "a")
    assert node.shown(viewer) == ["", "b"]
    changed = node.log.after(node.log.sequence - 1)[0].slot_states_changed
    assert changed.participant_id == "viewer"
    assert [(slot.mid, slot.HasField("source")) for slot in changed.slots] == [("5", False)]


def test_what_changes_for_everyone_is_told_in_one_event(node: Node) -> None:
    viewers = [f"viewer-{number}" for number in range(20)]
    for viewer in viewers:
        node.join(viewer, choices=(SlotChoice("5", TrackKey("a", "1")), SlotChoice("6", "empty")))
    for act, shown in ((lambda: node.join("a"), True), (lambda: node.agent.close_session("r", 1, "a"), False)):
        before = node.log.sequence
        act()
        (event,) = node.log.after(before)
        told = event.room_slot_states_changed.sessions
        assert [session.participant_id for session in told] == viewers
        assert {(slot.mid, slot.HasField("source")) for session in told for slot in session.slots} == {("5", shown)}


def test_muting_tells_the_engine_once_and_frees_the_slot(node: Node) -> None:
    viewer = node.join("viewer")
    session = node.join("a")
    node.agent.update_tracks("r", 1, "a", [Track("1", "video", TrackSource.CAMERA, muted=True)])
    node.agent.update_tracks("r", 1, "a", [Track("1", "video", TrackSource.CAMERA, muted=True)])
    assert node.engine.named("set_track_muted") == [(session.session_id, "1", True)]
    assert node.shown(viewer) == ["", ""]


def test_a_chosen_track_is_shown_as_long_as_it_is_there(node: Node) -> None:
    viewer = node.join("viewer", choices=(SlotChoice("6", TrackKey("b", "1")),))
    assert node.shown(viewer) == ["", ""]
    node.join("a")
    node.join("b")
    assert node.shown(viewer) == ["a", "b"]
    node.agent.update_slots("r", 1, "viewer", [SlotChoice("5", "empty")])
    assert node.shown(viewer) == ["", "b"]
    node.agent.update_slots("r", 1, "viewer", [SlotChoice("6", TrackKey("viewer", "1"))])
    assert node.shown(viewer) == ["", ""]  # nobody is shown to themselves


def test_a_new_size_of_a_slot_reaches_the_engine(node: Node) -> None:
    node.join("viewer")
    node.join("a")
    before = len(node.engine.named("update_slots"))
    node.agent.update_slots("r", 1, "viewer", [SlotChoice("5", "automatic", max_height=360, priority=3)])
    assert len(node.engine.named("update_slots")) == before + 1
    node.agent.update_slots("r", 1, "viewer", [SlotChoice("5", "automatic", max_height=360, priority=3)])
    assert len(node.engine.named("update_slots")) == before + 1


def test_what_the_engine_refused_is_tried_again(node: Node) -> None:
    viewer = node.join("viewer")
    node.join("a")
    node.engine.refuse = "queue_full"
    node.agent.update_slots("r", 1, "viewer", [SlotChoice("5", "empty")])
    assert node.shown(viewer) == ["a", ""]
    node.agent.update_slots("r", 1, "viewer", [SlotChoice("5", "empty")])
    assert node.shown(viewer) == ["", "a"]


@pytest.mark.parametrize("mid", ["0", "3", "9"])
def test_an_unknown_slot_is_named(node: Node, mid: str) -> None:
    with pytest.raises(MidUnknownError, match=re.escape("slots[1].mid")):
        node.join("a", choices=(SlotChoice("5", "empty"), SlotChoice(mid, "empty")))
    assert node.engine.commands == []
    node.join("a")
    with pytest.raises(MidUnknownError, match=re.escape("slots[0].mid")):
        node.agent.update_slots("r", 1, "a", [SlotChoice(mid, "empty")])


@pytest.mark.parametrize("mid", ["9", "5", "0"])
def test_an_unknown_track_is_named(node: Node, mid: str) -> None:
    wrong = Track(mid, "video", TrackSource.CAMERA, muted=False)
    command = OpenSession("a", "s", OFFER, [*tracks(), wrong], ())
    with pytest.raises(MidUnknownError, match=re.escape("tracks[3].mid")):
        node.agent.open_session("r", 1, command)
    node.join("a")
    with pytest.raises(MidUnknownError, match=re.escape("tracks[0].mid")):
        node.agent.update_tracks("r", 1, "a", [wrong])


def test_unknown_rooms_and_sessions_are_told(node: Node) -> None:
    with pytest.raises(RoomNotFoundError):
        node.agent.update_slots("r", 1, "a", [])
    node.join("a")
    with pytest.raises(SessionNotFoundError):
        node.agent.update_tracks("r", 1, "b", [])
    with pytest.raises(MidUnknownError):
        node.agent.request_key_frame("r", 1, TrackKey("a", "0"))
    node.agent.request_key_frame("r", 1, TrackKey("a", "1"))


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("too_many", NodeFullError),
        ("queue_full", NodeFullError),
        ("stopped", NodeDrainingError),
        ("invalid", SdpNotAcceptableError),
    ],
)
def test_the_engines_refusals_have_names(node: Node, reason: str, error: type[Exception]) -> None:
    node.agent.open_room("r", 1)
    node.engine.refuse = reason
    with pytest.raises(error):
        node.join("a")
    assert node.rooms.session_count == 0


def test_a_draining_node_takes_no_new_rooms_and_serves_the_old_ones(node: Node) -> None:
    node.join("a")
    node.agent.drain()
    node.join("b")
    with pytest.raises(NodeDrainingError):
        node.join("c", room="other")
    node.agent.close_all_rooms()
    assert len(node.rooms) == 0
    last = node.log.after(node.log.sequence - 1)[0]
    assert last.room_closed.reason == media_pb2.ROOM_CLOSE_REASON_DRAINED


def test_a_fence_closes_the_room_and_refuses_older_commands(node: Node) -> None:
    node.join("a", epoch=3)
    node.agent.fence_room("r", 4)
    assert node.engine.named("close_room") == [("r",)]
    assert node.told()[-1] == "room_closed"
    with pytest.raises(EpochStaleError):
        node.join("a", epoch=3)
    node.join("a", epoch=4)


def test_a_late_fence_leaves_a_newer_placement_alone(node: Node) -> None:
    node.join("a", epoch=9)
    node.agent.fence_room("r", 8)
    assert node.rooms.get("r").epoch == 9


def test_the_newcomers_slots_are_not_told_by_an_event(node: Node) -> None:
    node.join("a")
    node.join("b")
    told = [event.slot_states_changed.participant_id for event in node.log.after(0)]
    assert told == ["a"]
