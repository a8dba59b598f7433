"""WatchSession: a snapshot, then what happens, as one participant sees it; resumed by cursor, alive by checkpoints."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from control_plane.kernel.clock import Clock
from control_plane.kernel.errors import DomainError, ErrorKind
from control_plane.kernel.ids import IdFactory
from control_plane.log.entry import Batch, Entry, SubscriptionEnd
from control_plane.log.errors import ParticipantNotFoundError
from control_plane.log.reader import EventLog, Subscription
from control_plane.log.state import LiveState
from control_plane.log.times import SignalingTimes
from control_plane.log.view import LiveView
from control_plane.platform.grpc.names import participant_name
from control_plane.platform.observer import Observer
from control_plane.watching.live import Streams
from parley.signaling.v1 import event_pb2

_SNAPSHOTS: Final = 5
# Clients take a stream for dead after 40 s of silence.
_TURN_SECONDS: Final = 20.0
_TURN_POLL_SECONDS: Final = 0.5


class GoAwayReason(enum.Enum):
    """Why a stream ends."""

    SHUTTING_DOWN = "shutting_down"
    TOO_SLOW = "too_slow"
    LEFT = "left"
    REPLACED = "replaced"


_ENDS: Final = {
    SubscriptionEnd.TOO_SLOW: GoAwayReason.TOO_SLOW,
    SubscriptionEnd.SHUTTING_DOWN: GoAwayReason.SHUTTING_DOWN,
}


@dataclass(frozen=True, slots=True)
class SnapshotMessage:
    """Replaces all that the client knows."""

    view: LiveView


@dataclass(frozen=True, slots=True)
class EventMessage:
    """These happened after what came before."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class CheckpointMessage:
    """Nothing happened; the stream lives."""

    time: datetime


@dataclass(frozen=True, slots=True)
class GoAwayMessage:
    """The stream is about to end."""

    reason: GoAwayReason


@dataclass(frozen=True, slots=True)
class WatchMessage:
    """A message of a stream, and where to resume after it."""

    message: SnapshotMessage | EventMessage | CheckpointMessage | GoAwayMessage
    cursor: str


class SessionWatcher:
    """The use case WatchSession."""

    def __init__(
        self,
        state: LiveState,
        streams: Streams,
        log: EventLog,
        clock: Clock,
        ids: IdFactory,
        times: SignalingTimes,
        observer: Observer,
    ) -> None:
        self._state = state
        self._streams = streams
        self._log = log
        self._clock = clock
        self._ids = ids
        self._times = times
        self._observer = observer

    async def watch(
        self, meeting_id: str, participant_id: str, cursor: str, *, batches: bool = False
    ) -> AsyncIterator[WatchMessage]:
        """Streams a meeting to one of its participants.

        Raises:
            DomainError: PARTICIPANT_NOT_FOUND, CURSOR_INVALID, STORE_UNAVAILABLE; TOO_MANY_STREAMS after another stream
                of the same participant has replaced this one.
        """
        await self._wait_for_turn(meeting_id, participant_id)
        view, subscription = await self._resume(meeting_id, participant_id, cursor, batches=batches)
        stream_id = self._ids.uuid()
        try:
            gone = await self._announce(meeting_id, participant_id, stream_id)
            if gone is not None:
                async for message in _farewell(subscription, self._clock, gone):
                    yield message
                return
            own_seen = False
            while True:
                if view is not None:
                    yield WatchMessage(SnapshotMessage(view), view.cursor)
                stream = _Stream(subscription, self._clock, self._times.checkpoint)
                async for message in stream.messages(stream_id, own_seen=own_seen):
                    await self._note_replacement(stream, meeting_id, participant_id)
                    yield message
                if not stream.lost:
                    break
                subscription.close()
                view, subscription = await self._begin(meeting_id, participant_id, batches=batches)
                own_seen = True
            if stream.replaced:
                raise _too_many_streams()
        finally:
            subscription.close()

    async def _wait_for_turn(self, meeting_id: str, participant_id: str) -> None:
        """Holds a stream back that would take another's place too soon after the last one did.

        Clients that open a stream anew whenever theirs was replaced would take each other's for ever.
        """
        tries = round(_TURN_SECONDS / _TURN_POLL_SECONDS)
        for _ in range(tries):
            if await self._streams.may_open_stream(meeting_id, participant_id):
                return
            await asyncio.sleep(_TURN_POLL_SECONDS)
        raise _too_many_streams(_TURN_SECONDS)

    async def _note_replacement(self, stream: _Stream, meeting_id: str, participant_id: str) -> None:
        """Counts a replacement before it is told, so that it counts when the client comes back at once."""
        if stream.replaced:
            await self._streams.stream_replaced(meeting_id, participant_id)

    async def _announce(self, meeting_id: str, participant_id: str, stream_id: str) -> DomainError | None:
        """Tells other streams of the participant to end; returns the error of somebody who is not in the meeting.

        This comes after the subscription has begun, so that of two streams opened at once one sees the other.
        """
        try:
            await self._streams.open_stream(meeting_id, participant_id, stream_id)
        except ParticipantNotFoundError as error:
            return error
        return None

    async def _resume(
        self, meeting_id: str, participant_id: str, cursor: str, *, batches: bool
    ) -> tuple[LiveView | None, Subscription]:
        """Goes on after a cursor, or begins with a snapshot where there is none or the log does not reach so far."""
        if cursor:
            subscription = await self._log.subscribe(meeting_id, participant_id, cursor, batches=batches)
            if subscription is not None:
                return None, subscription
        return await self._begin(meeting_id, participant_id, batches=batches)

    async def _begin(self, meeting_id: str, participant_id: str, *, batches: bool) -> tuple[LiveView, Subscription]:
        for _ in range(_SNAPSHOTS):
            view = await self._state.view(meeting_id, participant_id)
            if view.participant(participant_id) is None:
                raise ParticipantNotFoundError
            subscription = await self._log.subscribe(meeting_id, participant_id, view.cursor, batches=batches)
            if subscription is not None:
                self._observer.counted("snapshots_sent")
                return view, subscription
        message = "a log was trimmed faster than it could be read"
        raise RuntimeError(message)


async def _farewell(subscription: Subscription, clock: Clock, error: DomainError) -> AsyncIterator[WatchMessage]:
    """Tells somebody who is out how that came, as far as the log still knows."""
    async for message in _Stream(subscription, clock, 0.0).messages("", own_seen=False):
        if isinstance(message.message, CheckpointMessage):
            raise error
        yield message


class _Stream:
    """From a subscription's entries to the messages of a stream."""

    def __init__(self, subscription: Subscription, clock: Clock, checkpoint: float) -> None:
        self._subscription = subscription
        self._name = participant_name(subscription.meeting_id, subscription.participant_id)
        self._clock = clock
        self._checkpoint = checkpoint
        self._own_seen = False
        self.lost = False
        self.replaced = False

    async def messages(self, stream_id: str, *, own_seen: bool) -> AsyncIterator[WatchMessage]:
        """Streams until the watcher has to go away; streams that were opened before this one don't matter."""
        self._own_seen = own_seen
        while True:
            item = await self._subscription.next(self._checkpoint)
            if item is None:
                yield self._message(CheckpointMessage(self._clock.now()))
            elif isinstance(item, SubscriptionEnd):
                self.lost = item is SubscriptionEnd.LOST
                if not self.lost:
                    yield self._go_away(_ENDS[item])
                return
            else:
                batch, end = self._until_end(item, stream_id)
                if batch is not None:
                    yield WatchMessage(EventMessage(batch), batch.cursor)
                if end is not None:
                    self.replaced = end is GoAwayReason.REPLACED
                    yield self._go_away(end)
                    return

    def _until_end(self, batch: Batch, stream_id: str) -> tuple[Batch | None, GoAwayReason | None]:
        """Returns what of a batch is to be told, and why the stream ends with it, if it does."""
        shown: list[Entry] = []
        end = None
        for entry in batch.entries:
            if entry.stream_id:
                own = entry.stream_id == stream_id
                end = GoAwayReason.REPLACED if self._own_seen and not own else None
                self._own_seen = self._own_seen or own
            elif entry.message is not None:
                shown.append(entry)
                end = GoAwayReason.LEFT if self._is_out(entry.message) else None
            if end is not None:
                break
        if len(shown) == len(batch.entries):
            return batch, end
        return (replace(batch, entries=tuple(shown)) if shown else None), end

    def _is_out(self, event: event_pb2.Event) -> bool:
        if event.HasField("participant_left"):
            return event.participant_left.participant == self._name
        return event.HasField("meeting_ended")

    def _message(self, message: CheckpointMessage | GoAwayMessage) -> WatchMessage:
        return WatchMessage(message, self._subscription.cursor)

    def _go_away(self, reason: GoAwayReason) -> WatchMessage:
        return self._message(GoAwayMessage(reason))


def _too_many_streams(retry_after: float | None = None) -> DomainError:
    return DomainError(
        ErrorKind.RESOURCE_EXHAUSTED,
        "TOO_MANY_STREAMS",
        "Another stream of the same participant was opened.",
        retry_after=retry_after,
    )
