"""SignalingService: what happens, as a stream."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

from grpc import aio

from control_plane.kernel.caller import CallingParticipant
from control_plane.platform.grpc.caller import calling_participant
from control_plane.platform.grpc.times import duration, timestamp
from control_plane.watching.convert import shared_response, snapshot_message
from control_plane.watching.service import (
    CheckpointMessage,
    EventMessage,
    GoAwayMessage,
    GoAwayReason,
    SessionWatcher,
    SnapshotMessage,
    WatchMessage,
)
from parley.signaling.v1 import signaling_service_pb2

_Context = aio.ServicerContext[Any, Any]
_GO_AWAY = {
    reason: signaling_service_pb2.GoAwayReason.Value(f"GO_AWAY_REASON_{reason.name}") for reason in GoAwayReason
}
# Clients of a server that goes away come back spread over this time; the others at once.
# All streams of a process end at once; those who open new ones spread themselves.
_SPREAD_SECONDS = {GoAwayReason.SHUTTING_DOWN: (0.2, 2.0)}


class WatchServicer:
    """Serves participants."""

    def __init__(self, watcher: SessionWatcher, public_url: str) -> None:
        self._watcher = watcher
        self._public_url = public_url

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
            sequence += 1
            # Fields of one message may stand apart: the number is a watcher's own, the rest is often everybody's.
            number = signaling_service_pb2.WatchSessionResponse(sequence=sequence).SerializeToString()
            yield number + self._content(who, message)

    def _content(self, who: CallingParticipant, message: WatchMessage) -> bytes:
        """Returns an encoded response without its number."""
        if isinstance(message.message, EventMessage):
            return shared_response(message.message.batch)
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
