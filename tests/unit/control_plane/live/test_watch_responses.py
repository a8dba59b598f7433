"""Events on their way out: one that no message can hold is passed over, and the stream goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

from control_plane.application.callers import Caller, CallerKind
from control_plane.application.live_ports import Entry, SignalingTimes
from control_plane.application.quarantine import Quarantine, SetAside
from control_plane.application.watching import EventMessage, WatchMessage
from control_plane.domain.event import Event, MediaMoved, MeetingUpdated, ReactionSent
from control_plane.domain.meeting import Meeting, MeetingSettings, MeetingState, MeetingType
from control_plane.rpc.authenticator import CURRENT_CALLER
from control_plane.rpc.signaling_servicer import SignalingServicer
from parley.signaling.v1 import signaling_service_pb2
from tests.support.live import NOON, QuietObserver, SetClock

NAME = "meetings/12345678901/participants/p"
SETTINGS = MeetingSettings(max_participants=2**40)
MEETING = Meeting(
    "12345678901", "h", "Hanna", "1", MeetingType.INSTANT, MeetingState.ACTIVE, NOON, NOON, settings=SETTINGS
)
EVENTS: list[Event] = [MediaMoved(-1), ReactionSent("p", "1"), MeetingUpdated(MEETING), ReactionSent("p", "2")]


class Nowhere:
    """A store of what is set aside that keeps nothing."""

    async def add(self, records: list[SetAside]) -> None:
        del records


class Watcher:
    async def watch(self, *_: str) -> AsyncIterator[WatchMessage]:
        for number, event in enumerate(EVENTS):
            yield WatchMessage(EventMessage(Entry(f"{number}-0", event, "", NOON, "")), f"cursor {number}")


async def test_an_event_that_no_message_can_hold_does_not_end_the_stream() -> None:
    observer = QuietObserver()
    quarantine = Quarantine(cast("Any", Nowhere()), SetClock(), observer)
    parts: list[Any] = [None, None, Watcher(), SignalingTimes(), "http://localhost", quarantine]
    token = CURRENT_CALLER.set(Caller(CallerKind.PARTICIPANT, NAME, meeting_id="12345678901", participant_id="p"))
    try:
        request = signaling_service_pb2.WatchSessionRequest(name=NAME)
        responses = [one async for one in SignalingServicer(*parts).WatchSession(request, cast("Any", None))]
    finally:
        CURRENT_CALLER.reset(token)

    assert [one.event.reaction_sent.emoji for one in responses] == ["1", "2"]
    assert [one.sequence for one in responses] == [1, 2], "a gap would mean that something was lost"
    assert observer.counts["event set aside"] == 2
