"""SfuControlService: the control plane's commands, thin over the agent, and the stream of node events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Final

from grpc import aio

from media_plane._engine import EngineError
from media_plane.node import converters
from media_plane.node.agent import Agent, OpenSession
from media_plane.node.announcer import session_state, slot_state
from media_plane.node.engine_port import EnginePort
from media_plane.node.errors import SessionNotFoundError
from media_plane.node.event_log import EventLog
from media_plane.node.explanation import explanation
from media_plane.node.rooms import Room, Rooms
from parley.sfu.v1 import sfu_control_service_pb2 as pb
from parley.sfu.v1.sfu_control_service_pb2_grpc import SfuControlServiceServicer

CHECKPOINT_SECONDS: Final = 15.0
"""Silence after which a checkpoint is sent."""


class SfuControlServicer(SfuControlServiceServicer):
    """Serves `parley.sfu.v1.SfuControlService`."""

    def __init__(
        self,
        *,
        agent: Agent,
        rooms: Rooms,
        log: EventLog,
        engine: EnginePort,
        instance_id: str,
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
    ) -> None:
        self._agent = agent
        self._rooms = rooms
        self._log = log
        self._engine = engine
        self._instance_id = instance_id
        self._checkpoint_seconds = checkpoint_seconds

    async def OpenRoom(
        self, request: pb.OpenRoomRequest, context: aio.ServicerContext[Any, Any]
    ) -> pb.OpenRoomResponse:
        """Open a room."""
        self._agent.open_room(converters.room_id(request.room.room), request.room.epoch)
        return pb.OpenRoomResponse()

    async def CloseRoom(
        self, request: pb.CloseRoomRequest, context: aio.ServicerContext[Any, Any]
    ) -> pb.CloseRoomResponse:
        """Close a room."""
        self._agent.close_room(converters.room_id(request.room.room), request.room.epoch)
        return pb.CloseRoomResponse()

    async def OpenSession(
        self, request: pb.OpenSessionRequest, context: aio.ServicerContext[Any, Any]
    ) -> pb.OpenSessionResponse:
        """Open a session."""
        command = OpenSession(
            participant_id=request.participant_id,
            session_id=request.session_id,
            sdp_offer=request.sdp_offer,
            tracks=converters.tracks(request.tracks),
            choices=converters.choices(request.slots),
        )
        session = self._agent.open_session(converters.room_id(request.room.room), request.room.epoch, command)
        slots = [slot_state(slot) for slot in session.slots.values()]
        return pb.OpenSessionResponse(sdp_answer=session.answer, slots=slots, session_id=session.session_id)

    async def CloseSession(
        self, request: pb.CloseSessionRequest, context: aio.ServicerContext[Any, Any]
    ) -> pb.CloseSessionResponse:
        """Close a session."""
        room_id = converters.room_id(request.room.room)
        self._agent.close_session(room_id, request.room.epoch, request.participant_id, request.session_id)
        return pb.CloseSessionResponse()

    async def UpdateSlots(
        self, request: pb.UpdateSlotsRequest, context: aio.ServicerContext[Any, Any]
    ) -> pb.UpdateSlotsResponse:
        """Set what slots show."""
        choices = converters.choices(request.slots)
        room_id = converters.room_id(request.room.room)
        self._agent.update_slots(room_id, request.room.epoch, request.participant_id, choices)
        return pb.UpdateSlotsResponse()

    async def UpdateTracks(
        self, request: pb.UpdateTracksRequest, context: aio.ServicerContext[Any, Any]
    ) -> pb.UpdateTracksResponse:
        """Set state and source of tracks."""
        tracks = converters.tracks(request.tracks)
        room_id = converters.room_id(request.room.room)
        self._agent.update_tracks(room_id, request.room.epoch, request.participant_id, tracks)
        return pb.UpdateTracksResponse()

    async def RequestKeyFrame(
        self, request: pb.RequestKeyFrameRequest, context: aio.ServicerContext[Any, Any]
    ) -> pb.RequestKeyFrameResponse:
        """Ask a sender for a key frame."""
        key = converters.track_key(request.track)
        self._agent.request_key_frame(converters.room_id(request.room.room), request.room.epoch, key)
        return pb.RequestKeyFrameResponse()

    async def GetStats(
        self, request: pb.GetStatsRequest, context: aio.ServicerContext[Any, Any]
    ) -> pb.GetStatsResponse:
        """Return figures of a room's sessions."""
        room = self._rooms.get(converters.room_id(request.room))
        response = pb.GetStatsResponse()
        for participant_id, session in list(room.sessions.items()):
            if request.participant_id not in {"", participant_id}:
                continue
            try:
                # It waits for the shard, so it must not stand in the event loop's way.
                figures = await asyncio.to_thread(self._engine.session_stats, session.session_id)
            except EngineError:
                continue  # closed meanwhile
            if room.sessions.get(participant_id) is session:
                response.sessions.append(converters.session_stats(room, participant_id, figures))
        return response

    async def ExplainSession(
        self, request: pb.ExplainSessionRequest, context: aio.ServicerContext[Any, Any]
    ) -> pb.ExplainSessionResponse:
        """Say why a participant's pictures look as they do."""
        session = self._rooms.get(converters.room_id(request.room)).session(request.participant_id)
        try:
            # It waits for the shard, so it must not stand in the event loop's way.
            figures = await asyncio.to_thread(self._engine.explain, session.session_id)
        except EngineError as error:  # closed meanwhile
            raise SessionNotFoundError from error
        return pb.ExplainSessionResponse(explanation=explanation(figures))

    async def WatchEvents(
        self, request: pb.WatchEventsRequest, context: aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.WatchEventsResponse]:
        """Stream what happens."""
        resumes = request.instance_id == self._instance_id and self._log.holds_after(request.after_sequence)
        sequence = request.after_sequence if resumes else self._log.sequence
        # The state belongs to this sequence: nothing may be awaited between the two.
        states = [] if resumes else [_room_state(room, time.time_ns()) for room in self._rooms]
        start = pb.WatchStart(instance_id=self._instance_id, sequence=sequence, from_state=not resumes)
        yield pb.WatchEventsResponse(start=start)
        for state in states:
            yield pb.WatchEventsResponse(room_state=state)
        # A watcher too slow for the ring finds its stream ended; the next one begins with the state.
        while self._log.holds_after(sequence):
            for event in self._log.after(sequence):
                yield pb.WatchEventsResponse(event=event)
                sequence = event.sequence
            if self._log.ends_with(sequence):
                return
            if not await self._log.wait(sequence, self._checkpoint_seconds):
                yield pb.WatchEventsResponse(checkpoint=pb.EventCheckpoint())


def _room_state(room: Room, now_unix_nano: int) -> pb.RoomState:
    return pb.RoomState(
        room=pb.RoomReference(room=room.name, epoch=room.epoch),
        sessions=[session_state(session, now_unix_nano) for session in room.sessions.values()],
        dominant_speaker_participant_id=room.speaker or "",
    )
