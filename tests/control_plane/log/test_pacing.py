"""Batches for the watchers of large meetings: few, shared, complete and in order; small meetings wait for nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from control_plane.log.entry import Batch, Entry, SubscriptionEnd
from control_plane.log.events import dominant_speaker_changed, participant_left
from control_plane.log.pacing import MOST_TOGETHER, Room
from control_plane.log.participant import LeaveReason
from control_plane.reactions.events import reaction_sent
from parley.signaling.v1 import event_pb2

MEETING = "12345678901"


class Timer:
    def __init__(self, when: float, callback: Callable[[], object]) -> None:
        self.when = when
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """A clock that is moved, and calls back on its way."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], object]) -> Any:  # noqa: ANN401 - asyncio.TimerHandle
        self.timers.append(Timer(when, callback))
        return self.timers[-1]

    def move(self, seconds: float) -> None:
        self.now += seconds
        for timer in [timer for timer in self.timers if timer.when <= self.now]:
            self.timers.remove(timer)
            if not timer.cancelled:
                timer.callback()


class Someone:
    """Watches, and keeps what comes."""

    def __init__(self, name: str, *, batches: bool = True) -> None:
        self.participant_id = name
        self.batches = batches
        self.came: list[Batch] = []
        self.ended: SubscriptionEnd | None = None

    def put(self, batch: Batch) -> None:
        self.came.append(batch)

    def end(self, reason: SubscriptionEnd) -> None:
        self.ended = reason

    @property
    def positions(self) -> list[list[int]]:
        return [[int(entry.position.partition("-")[0]) for entry in batch.entries] for batch in self.came]


class Meeting:
    """A room with watchers, and a log that is written to."""

    def __init__(self, watchers: int) -> None:
        self.loop = Loop()
        self.room = Room(MEETING, "0-0", "0badcafe", self.loop)
        self.watchers = [Someone(f"p{number}") for number in range(watchers)]
        for watcher in self.watchers:
            self.room.add(watcher)
        self._last = 0

    def happens(self, *events: event_pb2.Event) -> None:
        self.room.deliver([entry(self._next(), event) for event in events])

    def opens_stream(self, participant_id: str) -> None:
        self.room.deliver([Entry(self._next(), participant_id, stream_id="s")])

    def _next(self) -> str:
        self._last += 1
        return f"{self._last}-0"


def reaction() -> event_pb2.Event:
    return reaction_sent(MEETING, "p0", "👏")


def entry(position: str, event: event_pb2.Event) -> Entry:
    return Entry(position, "", event.SerializeToString(), event)


@pytest.fixture
def large() -> Meeting:
    return Meeting(1000)


def test_what_happens_after_a_silence_is_told_at_once(large: Meeting) -> None:
    large.happens(reaction())

    assert large.watchers[0].positions == [[1]]
    assert large.room.told == "1-0"


def test_many_joins_and_reactions_are_told_four_times_a_second_in_batches_that_all_share(large: Meeting) -> None:
    for _ in range(100):
        large.happens(reaction())
        large.loop.move(0.01)

    first, last = large.watchers[0], large.watchers[-1]
    assert 4 <= len(first.came) <= 5
    large.loop.move(0.25)
    assert [position for batch in first.positions for position in batch] == list(range(1, 101))
    assert all(one is other for one, other in zip(first.came, last.came, strict=True))
    assert [batch.cursor for batch in first.came] == [
        f"1.{MEETING}.0badcafe.{batch[-1]}-0" for batch in first.positions
    ]


def test_few_watchers_wait_for_next_to_nothing() -> None:
    small = Meeting(2)
    small.happens(reaction())
    small.happens(reaction())
    small.loop.move(0.0021)

    assert small.watchers[0].positions == [[1], [2]]


def test_what_can_not_wait_takes_with_it_what_waits(large: Meeting) -> None:
    large.happens(reaction())
    large.happens(reaction(), participant_left(MEETING, "p9", LeaveReason.LEFT))
    assert large.room.told == "1-0", "a checkpoint's cursor must not pass over what waits"

    large.happens(dominant_speaker_changed(MEETING, "p1"))

    assert large.watchers[0].positions == [[1], [2, 3, 4]]
    assert large.room.told == "4-0"


def test_what_is_for_one_alone_comes_at_once_and_in_its_place(large: Meeting) -> None:
    own, other = large.watchers[5], large.watchers[6]
    large.happens(reaction())
    large.happens(reaction(), reaction())
    large.opens_stream(own.participant_id)
    large.happens(reaction())

    assert own.positions == [[1], [2, 3], [4]]
    assert other.positions == [[1]]
    large.loop.move(0.25)
    assert own.positions == [[1], [2, 3], [4], [5]]
    assert other.positions == [[1], [2, 3, 5]]


def test_what_many_are_told_before_something_of_their_own_is_shared_too(large: Meeting) -> None:
    one, other = large.watchers[:2]
    large.happens(reaction())
    large.happens(reaction())
    for watcher in (one, other):
        large.opens_stream(watcher.participant_id)

    assert one.positions == [[1], [2], [3]]
    assert one.came[1] is other.came[1]


def test_who_takes_no_batches_gets_the_same_one_by_one(large: Meeting) -> None:
    old = Someone("old", batches=False)
    large.room.add(old)
    large.happens(reaction())
    large.happens(reaction(), reaction())
    large.opens_stream("old")
    large.loop.move(0.25)

    assert old.positions == [[1], [2], [3], [4]]


def test_a_batch_has_a_bound(large: Meeting) -> None:
    large.happens(reaction())
    large.happens(*[reaction()] * (MOST_TOGETHER + 1))

    assert [len(batch) for batch in large.watchers[0].positions] == [1, MOST_TOGETHER]
    large.loop.move(0.25)
    assert large.watchers[0].positions[-1] == [MOST_TOGETHER + 2]


def test_nothing_that_waits_is_lost_at_the_end(large: Meeting) -> None:
    large.happens(reaction())
    large.happens(reaction())
    large.room.end(SubscriptionEnd.SHUTTING_DOWN)

    assert large.watchers[0].positions == [[1], [2]]
    assert large.watchers[0].ended is SubscriptionEnd.SHUTTING_DOWN
    large.loop.move(1)
    assert large.watchers[0].positions == [[1], [2]]


def test_nothing_is_told_once_all_have_gone() -> None:
    small = Meeting(1)
    small.happens(reaction())
    small.happens(reaction())

    assert small.room.remove(small.watchers[0])
    small.loop.move(1)
    assert small.watchers[0].positions == [[1]]


def test_what_was_read_before_is_not_told_again(large: Meeting) -> None:
    large.happens(reaction())
    large.room.deliver([entry("1-0", reaction())])
    large.loop.move(1)

    assert large.watchers[0].positions == [[1]]
