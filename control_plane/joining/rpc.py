"""SignalingService: coming in."""

from __future__ import annotations

from typing import Any

from grpc import aio

from control_plane.joining.service import JoinRequest, MeetingJoiner
from control_plane.log.convert import participant_message
from control_plane.log.times import SignalingTimes
from control_plane.media.convert import answer_message, offer_from
from control_plane.platform.grpc.caller import current_caller
from control_plane.platform.grpc.names import meeting_id_of
from control_plane.platform.grpc.times import duration, timestamp
from control_plane.watching.convert import snapshot_message
from parley.signaling.v1 import signaling_service_pb2

_Context = aio.ServicerContext[Any, Any]


class JoiningServicer:
    """Serves those who come in."""

    def __init__(self, joiner: MeetingJoiner, times: SignalingTimes, public_url: str) -> None:
        self._joiner = joiner
        self._times = times
        self._public_url = public_url

    async def JoinMeeting(
        self, request: signaling_service_pb2.JoinMeetingRequest, context: _Context
    ) -> signaling_service_pb2.JoinMeetingResponse:
        """Enters a meeting."""
        meeting_id = meeting_id_of(request.meeting)
        joined = await self._joiner.join(
            JoinRequest(
                meeting_id=meeting_id,
                passcode=request.passcode,
                display_name=request.display_name,
                offer=offer_from(request.offer, meeting_id),
                request_id=request.request_id.lower(),
                region=request.region,
            ),
            current_caller(),
        )
        return signaling_service_pb2.JoinMeetingResponse(
            participant=participant_message(meeting_id, joined.participant),
            participant_token=joined.token.text,
            participant_token_expire_time=timestamp(joined.token.expire_time),
            answer=answer_message(meeting_id, joined.answer),
            snapshot=snapshot_message(joined.view, joined.participant.id, self._public_url),
            cursor=joined.view.cursor,
            heartbeat_interval=duration(self._times.heartbeat),
        )
