"""Somebody who only watches a meeting: follows the event log over native gRPC and resumes after interruptions."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import grpc

from parley.identity.v1 import identity_service_pb2 as identity
from parley.meeting.v1 import track_pb2
from parley.signaling.v1 import event_pb2
from parley.signaling.v1 import signaling_service_pb2 as signaling
from tests.support.sdp import media_offer
from tests.support.transports import Grpc, Outcome, method

_PAUSE_SECONDS = 0.2
_INTERRUPTED = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL}
"""How a stream ends when whoever served it is gone; INTERNAL comes when the gateway cuts it off in the middle."""


class Observer:
    """A participant without media. Keeps every event exactly as it came, over as many streams as it took."""

    def __init__(self, authority: str) -> None:
        self.api = Grpc(authority)
        self.events: list[event_pb2.Event] = []
        self.name = ""
        self._token = ""
        self._cursor = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._channel = grpc.aio.insecure_channel(authority)

    async def join(self, meeting: str, passcode: str) -> None:
        """Enter a meeting as a guest and begin to watch."""
        made = await self.ask(
            "IdentityService.CreateGuestSession",
            identity.CreateGuestSessionRequest(meeting=meeting, passcode=passcode),
        )
        request = signaling.JoinMeetingRequest(
            meeting=meeting, display_name="Observer", offer=media_offer(), request_id=str(uuid.uuid4())
        )
        joined = await self.ask("SignalingService.JoinMeeting", request, made.credentials.access_token)
        self.name, self._token, self._cursor = joined.participant.name, joined.participant_token, joined.cursor
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._beat())]

    async def react(self, emoji: str) -> None:
        """Send a reaction, again and again with the same request id until it is taken."""
        request = signaling.SendReactionRequest(name=self.name, emoji=emoji, request_id=str(uuid.uuid4()))
        await self.insist(lambda: self.api.call(method("SignalingService.SendReaction"), request, self._token))

    async def mute(self, *, muted: bool) -> None:
        """Say that the microphone is muted or not, until it is taken."""
        track = track_pb2.Track(
            mid="0", kind=track_pb2.TRACK_KIND_AUDIO, source=track_pb2.TRACK_SOURCE_MICROPHONE, muted=muted
        )
        request = signaling.UpdateTracksRequest(name=self.name, tracks=[track])
        await self.insist(lambda: self.api.call(method("SignalingService.UpdateTracks"), request, self._token))

    async def ask(self, rpc: str, request: Any, token: str | None = None) -> Any:  # noqa: ANN401 - any message
        """Call until it succeeds."""
        outcome = await self.insist(lambda: self.api.call(method(rpc), request, token))
        return outcome.response

    @staticmethod
    async def insist(attempt: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """Repeat a call for as long as the answer is that it may succeed later."""
        while True:
            outcome = await attempt()
            if outcome.code not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}:
                assert outcome.code is grpc.StatusCode.OK, outcome
                return outcome
            await asyncio.sleep(outcome.retry_after or _PAUSE_SECONDS)

    def reactions(self) -> list[str]:
        """Emoji of all reactions so far, in order."""
        return [event.reaction_sent.emoji for event in self.events if event.WhichOneof("kind") == "reaction_sent"]

    def muted(self, display_name: str) -> bool | None:
        """Whether somebody's microphone is muted by the last event about them; None when there was none."""
        for event in reversed(self.events):
            participant = event.participant_updated.participant
            if event.WhichOneof("kind") == "participant_updated" and participant.display_name == display_name:
                return participant.tracks[0].muted
        return None

    async def close(self) -> None:
        """Leave without a word."""
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._channel.close()
        await self.api.close()

    async def _watch(self) -> None:
        rpc = self._channel.unary_stream(
            "/parley.signaling.v1.SignalingService/WatchSession",
            request_serializer=signaling.WatchSessionRequest.SerializeToString,
            response_deserializer=signaling.WatchSessionResponse.FromString,
        )
        while True:
            request = signaling.WatchSessionRequest(name=self.name, cursor=self._cursor)
            try:
                async for message in rpc(request, metadata=(("authorization", f"Bearer {self._token}"),)):
                    self._apply(message)
            except grpc.aio.AioRpcError as error:
                if error.code() not in _INTERRUPTED:
                    raise
            await asyncio.sleep(_PAUSE_SECONDS)

    def _apply(self, message: signaling.WatchSessionResponse) -> None:
        assert message.WhichOneof("message") != "snapshot", "a good cursor was answered with a snapshot"
        if message.WhichOneof("message") == "event":
            self.events.append(message.event)
        if message.cursor:
            self._cursor = message.cursor

    async def _beat(self) -> None:
        while True:
            beat = signaling.HeartbeatRequest(name=self.name)
            answer = await self.ask("SignalingService.Heartbeat", beat, self._token)
            self._token = answer.participant_token or self._token
            await asyncio.sleep(answer.heartbeat_interval.ToTimedelta().total_seconds())
