"""Events on their way out: one that no message can hold is passed over, and the stream goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

from control_plane.kernel.caller import Caller, CallerKind
from control_plane.log.entry import Batch, Entry
from control_plane.log.event import Event, MediaMoved, MeetingUpdated, ReactionSent
from control_plane.meetings.model import Meeting, MeetingSettings, MeetingState, MeetingType
from control_plane.platform.grpc.caller import CURRENT_CALLER
from control_plane.platform.quarantine import Quarantine
from control_plane.platform.set_aside import SetAside
from control_plane.watching.rpc import WatchServicer
from control_plane.watching.service import EventMessage, WatchMessage
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
    """Streams batches."""

    def __init__(self, *batches: Batch) -> None:
        self.batches = batches

    async def watch(self, *_: str, batches: bool) -> AsyncIterator[WatchMessage]:
        del batches
        for batch in self.batches:
            yield WatchMessage(EventMessage(batch), batch.cursor)


def entries(traceparent: str = "") -> list[Entry]:
    return [Entry(f"{number}-0", event, "", NOON, traceparent) for number, event in enumerate(EVENTS)]


async def watched(
    *batches: Batch, observer: QuietObserver | None = None
) -> list[signaling_service_pb2.WatchSessionResponse]:
    quarantine = Quarantine(cast("Any", Nowhere()), SetClock(), observer or QuietObserver())
    servicer = WatchServicer(cast("Any", Watcher(*batches)), "http://localhost", quarantine)
    token = CURRENT_CALLER.set(Caller(CallerKind.PARTICIPANT, NAME, meeting_id="12345678901", participant_id="p"))
    try:
        request = signaling_service_pb2.WatchSessionRequest(name=NAME)
        stream = servicer.WatchSession(request, cast("Any", None))
        return [signaling_service_pb2.WatchSessionResponse.FromString(one) async for one in stream]
    finally:
        CURRENT_CALLER.reset(token)


async def test_an_event_that_no_message_can_hold_does_not_end_the_stream() -> None:
    observer = QuietObserver()
    batches = [Batch((entry,), f"cursor {entry.position}") for entry in entries()]

    responses = await watched(*batches, observer=observer)

    assert [one.event.reaction_sent.emoji for one in responses] == ["1", "2"]
    assert [one.cursor for one in responses] == ["cursor 1-0", "cursor 3-0"]
    assert [one.sequence for one in responses] == [1, 2], "a gap would mean that something was lost"
    assert observer.counts["event set aside"] == 2


async def test_a_batch_is_told_without_what_no_message_can_hold() -> None:
    (response,) = await watched(Batch(tuple(entries()), "cursor"))

    assert [one.reaction_sent.emoji for one in response.event_batch.events] == ["1", "2"]
    assert (response.sequence, response.cursor) == (1, "cursor")


async def test_what_is_left_alone_of_a_batch_is_an_event_with_its_trace() -> None:
    (response,) = await watched(Batch(tuple(entries("00-a-b-01")[:2]), "cursor"))

    assert response.event.reaction_sent.emoji == "1"
    assert response.trace_context.traceparent == "00-a-b-01"


async def test_a_batch_that_all_share_is_numbered_for_each() -> None:
    batches = [Batch(tuple(entries()), f"cursor {number}") for number in range(2)]

    responses = await watched(batches[0], batches[1], batches[0])

    assert [(one.sequence, one.cursor) for one in responses] == [(1, "cursor 0"), (2, "cursor 1"), (3, "cursor 0")]
    assert responses[0].event_batch == responses[2].event_batch
