"""SignalingService: staying and leaving."""

from __future__ import annotations

from typing import Any

from grpc import aio

from control_plane.log.times import SignalingTimes
from control_plane.platform.grpc.caller import calling_participant
from control_plane.platform.grpc.times import duration, timestamp
from control_plane.presence.service import Presence
from parley.signaling.v1 import signaling_service_pb2

_Context = aio.ServicerContext[Any, Any]


class PresenceServicer:
    """Serves participants."""

    def __init__(self, presence: Presence, times: SignalingTimes) -> None:
        self._presence = presence
        self._times = times

    async def LeaveMeeting(
        self, request: signaling_service_pb2.LeaveMeetingRequest, context: _Context
    ) -> signaling_service_pb2.LeaveMeetingResponse:
        """Leaves."""
        await self._presence.leave(calling_participant(request.name))
        return signaling_service_pb2.LeaveMeetingResponse()

    async def Heartbeat(
        self, request: signaling_service_pb2.HeartbeatRequest, context: _Context
    ) -> signaling_service_pb2.HeartbeatResponse:
        """Says that the participant is still there."""
        beat = await self._presence.heartbeat(calling_participant(request.name))
        token = beat.token
        return signaling_service_pb2.HeartbeatResponse(
            heartbeat_interval=duration(beat.interval),
            participant_token=token.text if token else "",
            participant_token_expire_time=timestamp(token.expire_time) if token else None,
        )
