"""SDP-7: offers that change the m-lines of a running session. The engine is a fake that remembers what it was told."""

import re
from collections.abc import Callable, Sequence

import pytest

from media_plane.node.agent import OpenSession
from media_plane.node.errors import MidUnknownError, NodeFullError
from media_plane.node.rooms import NeededEncodings, Session, SlotChoice, Track, TrackSource
from media_plane.node.sdp import SdpNotAcceptableError
from media_plane.node.slot_policy import TrackKey
from tests.unit.media_plane.test_agent import OFFER, Node, restart_offer, tracks

SCREEN = Track("7", "video", TrackSource.SCREEN, muted=False)


@pytest.fixture
def node() -> Node:
    return Node()


def section(mid: str, offer: str = OFFER) -> str:
    found = re.search(rf"(?sm)^m=(?:(?!^m=).)*^a=mid:{mid}\r$.*?(?=^m=|\Z)", offer)
    assert found is not None
    return found[0]


def with_m_line(mid: str, like: str, offer: str = OFFER) -> str:
    """Return the offer with one more m-line of other SSRCs, as a browser adds it."""
    added = section(like, offer).replace(f"a=mid:{like}\r", f"a=mid:{mid}\r")
    added = re.sub(r"(?m)^(a=ssrc(?:-group:FID)?[: ])(\d+)( \d+)?", r"\g<1>7\g<2>", added)
    assert f"a=mid:{mid}\r" in added
    return offer.replace("a=group:BUNDLE 0 1 2 3 4 5 6", f"a=group:BUNDLE 0 1 2 3 4 5 6 {mid}") + added


def directed(mid: str, direction: str, offer: str = OFFER) -> str:
    before = section(mid, offer)
    return offer.replace(before, re.sub(r"a=(sendonly|recvonly|sendrecv|inactive)\r", f"a={direction}\r", before))


def stopped(mid: str, offer: str = OFFER) -> str:
    before = section(mid, offer)
    after = re.sub(r"^m=(\w+) \d+", r"m=\1 0", before)
    bundle = re.search("a=group:BUNDLE .*", offer)
    assert bundle is not None
    group = bundle[0].replace(f" {mid}", "", 1)
    return offer.replace(before, after).replace(bundle[0], group)


def follow(
    node: Node, offer: str, named: Sequence[Track], choices: Sequence[SlotChoice] = (), *, request: str = "second"
) -> Session:
    return node.agent.open_session("r", 1, OpenSession("a", request, offer, named, choices))


def sections_of(session: Session) -> list[str]:
    return re.split(r"(?m)^(?=m=)", session.answer)[1:]


def test_a_track_that_is_added_keeps_everything_else(node: Node) -> None:
    viewer, first = node.join("viewer"), node.join("a", session="first")
    old = sections_of(first)
    kept = follow(node, with_m_line("7", "2"), [*tracks(), SCREEN])
    assert kept is first
    assert sections_of(kept)[: len(old)] == old
    assert sections_of(kept)[7].startswith("m=video 9 ")
    assert "a=recvonly\r\n" in sections_of(kept)[7]
    assert " 3 IN IP4" in kept.answer
    assert kept.tracks["7"].source is TrackSource.SCREEN
    assert node.engine.named("change_media") == [("first",)]
    assert node.engine.named("restart_ice") == node.engine.named("close_session") == []
    shown = [slot.shown for slot in viewer.video_slots()]
    assert TrackKey("a", "7") in shown, "a shared screen comes first"


def test_a_slot_that_is_added_has_ssrcs_of_its_own_and_is_filled(node: Node) -> None:
    first = node.join("a", session="first")
    for name in ("b", "c", "d"):
        node.join(name)
    old = sections_of(first)
    kept = follow(node, with_m_line("7", "6"), tracks(), [SlotChoice("7", TrackKey("d", "1"))])
    assert sections_of(kept)[: len(old)] == old
    ssrcs = {ssrc for slot in kept.agreement.slots.values() for ssrc in (slot.ssrc, slot.rtx_ssrc)} - {None}
    assert len(ssrcs) == 2 + 3 * 2
    assert kept.slots["7"].shown == TrackKey("d", "1")
    assert kept.slots["5"].shown is not None


@pytest.mark.parametrize("end", [stopped, lambda mid: directed(mid, "inactive")])
def test_a_track_that_is_over_is_shown_to_nobody(node: Node, end: Callable[[str], str]) -> None:
    viewer, _ = node.join("viewer"), node.join("a", session="first")
    assert TrackKey("a", "1") in [slot.shown for slot in viewer.video_slots()]
    kept = follow(node, end("1"), [track for track in tracks() if track.mid != "1"])
    assert kept.tracks.keys() == {"0", "2"}
    assert node.shown(viewer) == ["", ""]
    assert len(sections_of(kept)) == 7
    again = follow(node, OFFER, tracks(), request="third")
    assert again is kept
    assert TrackKey("a", "1") in [slot.shown for slot in viewer.video_slots()]


def test_a_slot_that_is_over_ends_and_is_another_when_it_comes_back(node: Node) -> None:
    first = node.join("a", session="first")
    node.join("b")
    before = first.agreement.slots["5"].ssrc
    follow(node, directed("5", "inactive"), tracks())
    assert "5" not in first.slots
    assert "a=ssrc" not in sections_of(first)[5]
    follow(node, OFFER, tracks(), [SlotChoice("5", TrackKey("b", "1"))], request="third")
    assert first.agreement.slots["5"].ssrc != before
    assert first.slots["5"].shown == TrackKey("b", "1")


def test_a_track_on_an_m_line_that_received_lets_it_receive_on(node: Node) -> None:
    """Browsers do that with `addTrack`."""
    first = node.join("a", session="first")
    before = first.agreement.slots["5"].ssrc
    named = [*tracks(), Track("5", "video", TrackSource.SCREEN, muted=False)]
    follow(node, directed("5", "sendrecv"), named)
    assert "a=sendrecv\r\n" in sections_of(first)[5]
    assert f"a=ssrc:{before} " in sections_of(first)[5]
    assert "5" in first.tracks
    assert "5" in first.slots
    follow(node, OFFER, tracks(), request="third")
    assert first.agreement.slots["5"].ssrc == before
    assert "5" not in first.tracks


def test_an_m_line_may_take_the_place_of_one_that_is_over(node: Node) -> None:
    first = node.join("a", session="first")
    over = stopped("2")
    follow(node, over, [track for track in tracks() if track.mid != "2"])
    assert sections_of(first)[2].startswith("m=video 0 ")
    recycled = section("2").replace("a=mid:2\r", "a=mid:9\r")
    offer = over.replace(section("2", over), recycled).replace("BUNDLE 0 1 3 4 5 6", "BUNDLE 0 1 3 4 5 6 9")
    named = [*tracks()[:2], Track("9", "video", TrackSource.SCREEN, muted=False)]
    follow(node, offer, named, request="third")
    assert "a=mid:9\r\n" in sections_of(first)[2]
    assert first.tracks.keys() == {"0", "1", "9"}


def test_ice_restarts_with_other_media_too(node: Node) -> None:
    first = node.join("a", session="first")
    offer = with_m_line("7", "2", restart_offer(1))
    kept = follow(node, offer, [*tracks(), SCREEN])
    assert kept is first
    restart = ("restart_ice", "first", "new1", f"{1:024d}")
    assert node.engine.commands[-2:] == [("change_media", "first"), restart]
    assert "a=ice-ufrag:node1" in kept.answer
    assert node.engine.named("close_session") == []


def test_a_track_in_other_formats_is_asked_for_anew(node: Node) -> None:
    viewer, first = node.join("viewer"), node.join("a", session="first")
    first.encodings["1"] = NeededEncodings((), "VP9")
    told = len(node.engine.named("update_slots"))
    before = section("1")
    follow(node, OFFER.replace(before, before.replace("SAVPF 96 97 ", "SAVPF ")), tracks())
    assert (viewer.session_id, 1) in node.engine.named("update_slots")[told:]
    assert first.encodings["1"] == NeededEncodings(("q", "h", "f"), "")
    assert node.told()[-1] == "encodings_changed"
    assert TrackKey("a", "1") in [slot.shown for slot in viewer.video_slots()]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda offer: offer.replace(section("6"), ""), "fewer m-lines"),
        (lambda offer: offer.replace(section("6"), "").replace(section("5"), section("6") + section("5")), "order"),
        (lambda offer: offer.replace("a=mid:6\r", "a=mid:8\r").replace("5 6\r", "5 8\r"), "order"),
        (lambda offer: offer.replace("BUNDLE 0 1 2 3 4 5 6", "BUNDLE 0 1 2 3 4 5"), "BUNDLE"),
        (lambda offer: re.sub(r"(a=fingerprint:sha-256) ..:", r"\1 00:", offer), "certificate"),
        (lambda offer: re.sub(r"a=extmap:4 \S+sdes:mid", "a=extmap:4 urn:ietf:params:x", offer), "identifier 4"),
        (lambda offer: directed("5", "sendonly", offer), "among the offer's tracks"),
    ],
    ids=["fewer", "order", "mid", "BUNDLE", "certificate", "extension", "unnamed"],
)
def test_what_no_session_can_follow_is_refused_and_it_goes_on(
    node: Node, change: Callable[[str], str], problem: str
) -> None:
    first = node.join("a", session="first")
    answer, commands = first.answer, list(node.engine.commands)
    assert change(OFFER) != OFFER
    with pytest.raises(SdpNotAcceptableError, match=problem):
        follow(node, change(OFFER), tracks())
    assert node.rooms.session_by_id("first") == (node.rooms.get("r"), first)
    assert (first.answer, node.engine.commands) == (answer, commands)


def test_a_choice_for_a_slot_that_is_over_is_refused(node: Node) -> None:
    node.join("a", session="first")
    with pytest.raises(MidUnknownError):
        follow(node, directed("5", "inactive"), tracks(), [SlotChoice("5", "empty")])


def test_a_retry_changes_nothing_even_after_another_offer(node: Node) -> None:
    first = node.join("a", session="first")
    follow(node, with_m_line("7", "2"), [*tracks(), SCREEN], request="second")
    follow(node, with_m_line("8", "6", with_m_line("7", "2")), [*tracks(), SCREEN], request="third")
    answer, commands = first.answer, list(node.engine.commands)
    for request in ("second", "third"):
        assert follow(node, with_m_line("7", "2"), tracks(), request=request) is first
    assert (first.answer, node.engine.commands) == (answer, commands)


def test_what_the_engine_refuses_changes_nothing(node: Node) -> None:
    first = node.join("a", session="first")
    answer = first.answer
    node.engine.refuse_named["change_media"] = "queue_full"
    with pytest.raises(NodeFullError):
        follow(node, with_m_line("7", "2"), [*tracks(), SCREEN])
    assert first.answer == answer
    assert follow(node, with_m_line("7", "2"), [*tracks(), SCREEN]) is first
    assert "7" in first.tracks


def test_a_session_that_has_just_ended_makes_room_for_a_new_one(node: Node) -> None:
    node.join("a", session="first")
    node.engine.refuse_named["change_media"] = "unknown_session"
    session = follow(node, with_m_line("7", "2"), [*tracks(), SCREEN])
    assert session.session_id == "second"
