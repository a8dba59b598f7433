"""SignalingService: a participant's media."""

from __future__ import annotations

from typing import Any

from grpc import aio

from control_plane.log.convert import participant_message, tracks_from
from control_plane.media.convert import answer_message, offer_from, slots_from
from control_plane.media.service import Media
from control_plane.platform.grpc.caller import calling_participant
from parley.meeting.v1 import explanation_pb2
from parley.signaling.v1 import signaling_service_pb2

_Context = aio.ServicerContext[Any, Any]


class MediaServicer:
    """Serves participants."""

    def __init__(self, media: Media) -> None:
        self._media = media

    async def RenegotiateMedia(
        self, request: signaling_service_pb2.RenegotiateMediaRequest, context: _Context
    ) -> signaling_service_pb2.RenegotiateMediaResponse:
        """Exchanges a new offer for a new answer."""
        who = calling_participant(request.name)
        offer = offer_from(request.offer, who.meeting_id)
        answer = await self._media.renegotiate(who, offer, request.request_id.lower())
        return signaling_service_pb2.RenegotiateMediaResponse(answer=answer_message(who.meeting_id, answer))

    async def UpdateSlots(
        self, request: signaling_service_pb2.UpdateSlotsRequest, context: _Context
    ) -> signaling_service_pb2.UpdateSlotsResponse:
        """Says what the layout shows."""
        who = calling_participant(request.name)
        await self._media.update_slots(who, slots_from(request.slots, who.meeting_id, "slots"))
        return signaling_service_pb2.UpdateSlotsResponse()

    async def UpdateTracks(
        self, request: signaling_service_pb2.UpdateTracksRequest, context: _Context
    ) -> signaling_service_pb2.UpdateTracksResponse:
        """Mutes, unmutes or changes the source of tracks."""
        who = calling_participant(request.name)
        participant = await self._media.update_tracks(who, tracks_from(request.tracks))
        return signaling_service_pb2.UpdateTracksResponse(participant=participant_message(who.meeting_id, participant))

    async def ExplainSession(
        self, request: signaling_service_pb2.ExplainSessionRequest, context: _Context
    ) -> signaling_service_pb2.ExplainSessionResponse:
        """Says why the caller's pictures look as they do."""
        explanation = await self._media.explain(calling_participant(request.name))
        return signaling_service_pb2.ExplainSessionResponse(
            explanation=explanation_pb2.MediaExplanation.FromString(explanation)
        )
