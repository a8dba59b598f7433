"""The automatic slots' policy: order, stability, and what never happens."""

from hypothesis import given
from hypothesis import strategies as st

from media_plane.node.slot_policy import Candidate, TrackKey, assign, rank


def camera(name: str, *, joined: int, last_spoke: int = 0) -> Candidate:
    return Candidate(TrackKey(name, "1"), is_screen=False, last_spoke=last_spoke, joined=joined)


def screen(name: str, *, joined: int) -> Candidate:
    return Candidate(TrackKey(name, "2"), is_screen=True, last_spoke=0, joined=joined)


def key(name: str, mid: str = "1") -> TrackKey:
    return TrackKey(name, mid)


def test_screens_come_first_then_the_last_speaker_then_who_came_first() -> None:
    candidates = [
        camera("early", joined=1),
        camera("late", joined=9),
        camera("spoke", joined=5, last_spoke=1),
        camera("speaks", joined=8, last_spoke=2),
        screen("late", joined=9),
    ]
    assert rank(candidates) == [key("late", "2"), key("speaks"), key("spoke"), key("early"), key("late")]


def test_slots_fill_in_order_and_leave_oneself_out() -> None:
    ranking = rank([camera(name, joined=index) for index, name in enumerate("abcd")])
    assert assign(ranking, receiver="b", slots=["5", "6"], current={}) == {"5": key("a"), "6": key("c")}
    assert assign(ranking, receiver="b", slots=["5", "6", "7", "8"], current={})["8"] is None


def test_a_newcomer_takes_a_free_slot_and_nobody_moves() -> None:
    before = {"5": key("c"), "6": key("a"), "7": None}
    ranking = rank([camera(name, joined=index) for index, name in enumerate("abcd")])
    after = assign(ranking, receiver="x", slots=["5", "6", "7"], current=before)
    assert after == {"5": key("c"), "6": key("a"), "7": key("b")}


def test_a_speaker_outside_takes_the_slot_of_the_least_deserving_only() -> None:
    before = {"5": key("a"), "6": key("b"), "7": key("c")}
    candidates = [
        camera("a", joined=1, last_spoke=3),
        camera("b", joined=2),
        camera("c", joined=3, last_spoke=2),
        camera("d", joined=4, last_spoke=4),
    ]
    after = assign(rank(candidates), receiver="x", slots=["5", "6", "7"], current=before)
    assert after == {"5": key("a"), "6": key("d"), "7": key("c")}


def test_a_speaker_who_is_shown_moves_nobody() -> None:
    before = {"5": key("a"), "6": key("b")}
    candidates = [camera("a", joined=1), camera("b", joined=2, last_spoke=7), camera("c", joined=3)]
    assert assign(rank(candidates), receiver="x", slots=["5", "6"], current=before) == before


def test_who_is_shown_by_choice_takes_no_automatic_slot() -> None:
    ranking = rank([camera(name, joined=index) for index, name in enumerate("abc")])
    after = assign(ranking, receiver="x", slots=["5", "6"], current={"5": key("a")}, shown_elsewhere={key("a")})
    assert after == {"5": key("b"), "6": key("c")}


def test_who_left_leaves_an_empty_slot_when_nobody_waits() -> None:
    after = assign([key("b")], receiver="x", slots=["5", "6"], current={"5": key("a"), "6": key("b")})
    assert after == {"5": None, "6": key("b")}


names = st.sampled_from("abcdefgh")
keys = st.builds(TrackKey, names, st.sampled_from(["1", "2"]))


@given(
    ranking=st.lists(keys, unique=True),
    receiver=names,
    slots=st.lists(st.sampled_from("56789"), unique=True),
    current=st.dictionaries(st.sampled_from("56789"), keys),
    elsewhere=st.frozensets(keys),
)
def test_every_assignment_is_sound_and_steady(
    ranking: list[TrackKey],
    receiver: str,
    slots: list[str],
    current: dict[str, TrackKey],
    elsewhere: frozenset[TrackKey],
) -> None:
    result = assign(ranking, receiver=receiver, slots=slots, current=current, shown_elsewhere=elsewhere)
    shown = [each for each in result.values() if each is not None]
    eligible = [each for each in ranking if each.participant_id != receiver and each not in elsewhere]
    assert list(result) == slots
    assert sorted(shown) == sorted(eligible[: len(slots)])  # the best of them, each once
    again = assign(ranking, receiver=receiver, slots=slots, current=result, shown_elsewhere=elsewhere)
    assert again == result
