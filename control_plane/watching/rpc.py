"""SignalingService: what happens, as a stream."""

from __future__ import annotations

import functools
import random
from collections.abc import AsyncIterator
from typing import Any

from grpc import aio

from control_plane.kernel.caller import CallingParticipant
from control_plane.log.entry import Batch, Entry
from control_plane.platform.grpc.caller import calling_participant
from control_plane.platform.grpc.times import duration, timestamp
from control_plane.platform.quarantine import Quarantine
from control_plane.platform.set_aside import RecordKind
from control_plane.watching.convert import event_message, snapshot_message
from control_plane.watching.service import (
    CheckpointMessage,
    EventMessage,
    GoAwayMessage,
    GoAwayReason,
    SessionWatcher,
    SnapshotMessage,
    WatchMessage,
)
from parley.signaling.v1 import event_pb2, signaling_service_pb2

_ENCODED = 128
"""Batches that are kept encoded: those that some watcher is still to be told."""
_Context = aio.ServicerContext[Any, Any]
_GO_AWAY = {
    reason: signaling_service_pb2.GoAwayReason.Value(f"GO_AWAY_REASON_{reason.name}") for reason in GoAwayReason
}
# Clients of a server that goes away come back spread over this time; the others at once.
# All streams of a process end at once; those who open new ones spread themselves.
_SPREAD_SECONDS = {GoAwayReason.SHUTTING_DOWN: (0.2, 2.0)}


class WatchServicer:
    """Serves participants."""

    def __init__(self, watcher: SessionWatcher, public_url: str, quarantine: Quarantine) -> None:
        self._watcher = watcher
        self._public_url = public_url
        self._quarantine = quarantine
        # Watchers of a meeting come for the same batches one after the other.
        self._encoded = functools.lru_cache(maxsize=_ENCODED)(self._encode)

    async def WatchSession(
        self, request: signaling_service_pb2.WatchSessionRequest, context: _Context
    ) -> AsyncIterator[bytes]:
        """Streams the meeting, as encoded responses."""
        who = calling_participant(request.name)
        messages = self._watcher.watch(
            who.meeting_id, who.participant_id, request.cursor, batches=request.event_batches
        )
        sequence = 0
        async for message in messages:
            content = self._content(who, message)
            if content:
                sequence += 1
                # Fields of one message may stand apart: the number is a watcher's own, the rest is often everybody's.
                yield signaling_service_pb2.WatchSessionResponse(sequence=sequence).SerializeToString() + content

    def _content(self, who: CallingParticipant, message: WatchMessage) -> bytes:
        """Returns an encoded response without its number; empty: there is nothing in it to be told."""
        if isinstance(message.message, EventMessage):
            return self._encoded(who.meeting_id, message.message.batch)
        response = signaling_service_pb2.WatchSessionResponse(cursor=message.cursor)
        match message.message:
            case SnapshotMessage(view):
                response.snapshot.CopyFrom(snapshot_message(view, who.participant_id, self._public_url))
            case CheckpointMessage(time):
                response.checkpoint.time.CopyFrom(timestamp(time))
            case GoAwayMessage(reason):
                delay = random.uniform(*_SPREAD_SECONDS.get(reason, (0.0, 0.0)))  # noqa: S311 - nothing to guess
                response.go_away.reason = _GO_AWAY[reason]
                response.go_away.retry_delay.CopyFrom(duration(delay))
        return response.SerializeToString()

    def _encode(self, meeting_id: str, batch: Batch) -> bytes:
        told = [(entry, event) for entry in batch.entries if (event := self._event(meeting_id, entry)) is not None]
        response = signaling_service_pb2.WatchSessionResponse(cursor=batch.cursor)
        match told:
            case []:
                return b""
            case [(entry, event)]:
                response.event.CopyFrom(event)
                if entry.traceparent:
                    response.trace_context.traceparent = entry.traceparent
            case _:
                response.event_batch.events.extend(event for _, event in told)
        return response.SerializeToString()

    def _event(self, meeting_id: str, entry: Entry) -> event_pb2.Event | None:
        try:
            return event_message(meeting_id, entry)
        except (TypeError, ValueError) as error:
            # A value that no message can hold. The stream would end at this event again and again.
            self._quarantine.note(RecordKind.EVENT, f"{meeting_id}/{entry.position}", error)
            return None
