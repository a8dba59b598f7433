"""SignalingService: from messages to use cases and back."""

from __future__ import annotations

import functools
import random
from collections.abc import AsyncIterator
from typing import Any

from grpc import aio

from control_plane.application.joining import JoinRequest, MeetingJoiner
from control_plane.application.live_ports import Batch, Entry, SignalingTimes
from control_plane.application.quarantine import Quarantine, RecordKind
from control_plane.application.signaling import Attendee, Signaling
from control_plane.application.watching import (
    CheckpointMessage,
    EventMessage,
    GoAwayMessage,
    GoAwayReason,
    SessionWatcher,
    SnapshotMessage,
    WatchMessage,
)
from control_plane.domain.errors import invalid_argument, permission_denied
from control_plane.domain.text import is_emoji
from control_plane.rpc.authenticator import current_caller
from control_plane.rpc.live_converters import (
    answer_message,
    duration,
    event_message,
    meeting_id_of,
    offer_from,
    participant_message,
    slots_from,
    snapshot_message,
    timestamp,
    tracks_from,
)
from parley.meeting.v1 import explanation_pb2
from parley.signaling.v1 import event_pb2, signaling_service_pb2, signaling_service_pb2_grpc

_ENCODED = 128
"""Batches that are kept encoded: those that some watcher is still to be told."""
_Context = aio.ServicerContext[Any, Any]
_GO_AWAY = {
    reason: signaling_service_pb2.GoAwayReason.Value(f"GO_AWAY_REASON_{reason.name}") for reason in GoAwayReason
}
# Clients of a server that goes away come back spread over this time; the others at once.
# All streams of a process end at once; those who open new ones spread themselves.
_SPREAD_SECONDS = {GoAwayReason.SHUTTING_DOWN: (0.2, 2.0)}


class SignalingServicer(signaling_service_pb2_grpc.SignalingServiceServicer):
    """Serves participants."""

    def __init__(
        self,
        joiner: MeetingJoiner,
        signaling: Signaling,
        watcher: SessionWatcher,
        times: SignalingTimes,
        public_url: str,
        quarantine: Quarantine,
    ) -> None:
        self._joiner = joiner
        self._signaling = signaling
        self._watcher = watcher
        self._times = times
        self._public_url = public_url
        self._quarantine = quarantine
        # Watchers of a meeting come for the same batches one after the other.
        self._encoded = functools.lru_cache(maxsize=_ENCODED)(self._encode)

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

    async def RenegotiateMedia(
        self, request: signaling_service_pb2.RenegotiateMediaRequest, context: _Context
    ) -> signaling_service_pb2.RenegotiateMediaResponse:
        """Exchanges a new offer for a new answer."""
        who = _attendee(request.name)
        offer = offer_from(request.offer, who.meeting_id)
        answer = await self._signaling.renegotiate(who, offer, request.request_id.lower())
        return signaling_service_pb2.RenegotiateMediaResponse(answer=answer_message(who.meeting_id, answer))

    async def WatchSession(  # type: ignore[override]  # the chain's EncodedInterceptor sends them as they are
        self, request: signaling_service_pb2.WatchSessionRequest, context: _Context
    ) -> AsyncIterator[bytes]:
        """Streams the meeting, as encoded responses."""
        who = _attendee(request.name)
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

    async def UpdateSlots(
        self, request: signaling_service_pb2.UpdateSlotsRequest, context: _Context
    ) -> signaling_service_pb2.UpdateSlotsResponse:
        """Says what the layout shows."""
        who = _attendee(request.name)
        await self._signaling.update_slots(who, slots_from(request.slots, who.meeting_id, "slots"))
        return signaling_service_pb2.UpdateSlotsResponse()

    async def UpdateTracks(
        self, request: signaling_service_pb2.UpdateTracksRequest, context: _Context
    ) -> signaling_service_pb2.UpdateTracksResponse:
        """Mutes, unmutes or changes the source of tracks."""
        who = _attendee(request.name)
        participant = await self._signaling.update_tracks(who, tracks_from(request.tracks))
        return signaling_service_pb2.UpdateTracksResponse(participant=participant_message(who.meeting_id, participant))

    async def ExplainSession(
        self, request: signaling_service_pb2.ExplainSessionRequest, context: _Context
    ) -> signaling_service_pb2.ExplainSessionResponse:
        """Says why the caller's pictures look as they do."""
        explanation = await self._signaling.explain(_attendee(request.name))
        return signaling_service_pb2.ExplainSessionResponse(
            explanation=explanation_pb2.MediaExplanation.FromString(explanation)
        )

    async def SendReaction(
        self, request: signaling_service_pb2.SendReactionRequest, context: _Context
    ) -> signaling_service_pb2.SendReactionResponse:
        """Shows an emoji."""
        who = _attendee(request.name)
        if not is_emoji(request.emoji):
            raise invalid_argument("emoji", "is not one emoji.")
        await self._signaling.react(who, request.emoji, request.request_id.lower())
        return signaling_service_pb2.SendReactionResponse()

    async def LeaveMeeting(
        self, request: signaling_service_pb2.LeaveMeetingRequest, context: _Context
    ) -> signaling_service_pb2.LeaveMeetingResponse:
        """Leaves."""
        await self._signaling.leave(_attendee(request.name))
        return signaling_service_pb2.LeaveMeetingResponse()

    async def Heartbeat(
        self, request: signaling_service_pb2.HeartbeatRequest, context: _Context
    ) -> signaling_service_pb2.HeartbeatResponse:
        """Says that the participant is still there."""
        beat = await self._signaling.heartbeat(_attendee(request.name))
        token = beat.token
        return signaling_service_pb2.HeartbeatResponse(
            heartbeat_interval=duration(beat.interval),
            participant_token=token.text if token else "",
            participant_token_expire_time=timestamp(token.expire_time) if token else None,
        )

    def _content(self, who: Attendee, message: WatchMessage) -> bytes:
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


def _attendee(name: str) -> Attendee:
    """Returns the calling participant.

    Raises:
        DomainError: PERMISSION_DENIED: the token is another participant's.
    """
    caller = current_caller()
    if name != caller.subject:
        message = "This token is another participant's."
        raise permission_denied(message)
    return Attendee(caller.meeting_id, caller.participant_id, caller.token_life)
