"""A participant without a browser: joins by gRPC, sends marked pictures and a tone, and says what it sees and hears."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog
from grpc import aio
from opentelemetry import trace

from grpc_kit.channel import open_channel
from media_plane.bots.peer import BotPeer, PeerOptions, Source
from media_plane.bots.view import MeetingView
from parley.identity.v1 import identity_service_pb2
from parley.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from parley.meeting.v1 import meeting_pb2, meeting_service_pb2, track_pb2
from parley.meeting.v1.meeting_service_pb2_grpc import MeetingServiceStub
from parley.signaling.v1 import session_pb2, signaling_service_pb2
from parley.signaling.v1.signaling_service_pb2_grpc import SignalingServiceStub

log = structlog.get_logger(__name__)

_CALL_SECONDS: Final = 15.0
_RETRY_SECONDS: Final = 0.5
_KEPT_EVENTS: Final = 1_000
_SOURCES: Final[dict[Source, tuple[int, int]]] = {
    "microphone": (track_pb2.TRACK_KIND_AUDIO, track_pb2.TRACK_SOURCE_MICROPHONE),
    "camera": (track_pb2.TRACK_KIND_VIDEO, track_pb2.TRACK_SOURCE_CAMERA),
    "screen": (track_pb2.TRACK_KIND_VIDEO, track_pb2.TRACK_SOURCE_SCREEN),
}


class BotError(Exception):
    """The bot can't do what it was asked; the message says why."""


@dataclass(frozen=True, slots=True)
class BotOptions:
    """Where a bot goes and who it is.

    Attributes:
        target: `host:port` of the gateway, or of a control plane.
        meeting: `meetings/{meeting}`.
        passcode: Of the meeting.
        display_name: What others see.
        peer: What it sends and shows.
        access_token: Token to join with; empty: the bot joins as a guest.
    """

    target: str
    meeting: str
    passcode: str
    display_name: str
    peer: PeerOptions
    access_token: str = ""


@dataclass(frozen=True, slots=True)
class JoinTimes:
    """Seconds from the click to each step of a join.

    Attributes:
        answered: The answer came.
        connected: ICE and DTLS are done; None: not yet.
        first_frame: The first picture of somebody else was decoded; None: not yet.
        first_sound: The first sound of somebody else was decoded; None: not yet.
    """

    answered: float
    connected: float | None
    first_frame: float | None
    first_sound: float | None


class BotClient:
    """A participant of a meeting."""

    def __init__(self, options: BotOptions) -> None:
        self.options = options
        self.peer = BotPeer(options.peer)
        self.view = MeetingView()
        self.events: deque[signaling_service_pb2.WatchSessionResponse] = deque(maxlen=_KEPT_EVENTS)
        self.trace_id = ""
        self._channel = open_channel(options.target)
        self._signaling: Any = SignalingServiceStub(self._channel)
        self._token = options.access_token
        self._offer = ""
        self._name = ""
        self._cursor = ""
        self._heartbeat_seconds = 10.0
        self._clicked = self._answered = 0.0
        self._epoch = 0
        self._muted: dict[Source, bool] = {
            "microphone": not options.peer.microphone,
            "camera": not options.peer.camera,
            "screen": True,
        }
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def name(self) -> str:
        """Resource name as a participant; empty before the join."""
        return self._name

    @property
    def participant_id(self) -> str:
        """Last part of the name."""
        return self._name.rpartition("/")[2]

    async def prepare(self) -> None:
        """Do what a browser does before the click: get in as a guest, make the offer."""
        if not self._token:
            identity: Any = IdentityServiceStub(self._channel)
            request = identity_service_pb2.CreateGuestSessionRequest(
                meeting=self.options.meeting, passcode=self.options.passcode
            )
            response = await identity.CreateGuestSession(request, timeout=_CALL_SECONDS)
            self._token = response.credentials.access_token
        self._offer = await self.peer.offer()

    async def join(self) -> None:
        """Click: join, connect, watch, and stay by heartbeats.

        Raises:
            AioRpcError: The join is refused.
        """
        if not self._offer:
            await self.prepare()
        self._clicked = time.monotonic()
        with trace.get_tracer("parley.bot").start_as_current_span("parley.join") as span:
            self.trace_id = trace.format_trace_id(span.get_span_context().trace_id)
            response = await self._signaling.JoinMeeting(
                self._join_request(), metadata=self._metadata(), timeout=_CALL_SECONDS
            )
            self._answered = time.monotonic()
            self._name = response.participant.name
            self._token = response.participant_token
            self._cursor = response.cursor
            self._heartbeat_seconds = response.heartbeat_interval.ToNanoseconds() / 1e9 or 10.0
            self.view.replace(response.snapshot)
            self._epoch = response.answer.epoch
            self.view.assign(response.answer.slots)
            await self.peer.accept(response.answer.sdp)
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._stay())]

    def times(self) -> JoinTimes:
        """Return how long the steps of the join took so far."""

        def since(moments: Iterable[float | None]) -> float | None:
            known = [moment for moment in moments if moment is not None]
            return min(known) - self._clicked if known else None

        return JoinTimes(
            answered=self._answered - self._clicked,
            connected=since([self.peer.connected_at]),
            first_frame=since(slot.first_frame for slot in self.peer.video),
            first_sound=since(slot.first_frame for slot in self.peer.audio),
        )

    async def mute(self, source: Source, *, muted: bool) -> None:
        """Mute or unmute a track, here and for everyone."""
        self._muted[source] = muted
        self.peer.mute(source, muted=muted)
        request = signaling_service_pb2.UpdateTracksRequest(name=self._name, tracks=[self._track(source, muted=muted)])
        await self._signaling.UpdateTracks(request, metadata=self._metadata(), timeout=_CALL_SECONDS)

    async def show(self, selections: dict[str, tuple[str, str] | None]) -> None:
        """Choose what slots show: by mid, a participant's name and track, or None for the node's choice."""
        slots = [
            session_pb2.SlotRequest(mid=mid, automatic=session_pb2.AutomaticSelection())
            if chosen is None
            else session_pb2.SlotRequest(
                mid=mid, source=session_pb2.SourceSelection(participant=chosen[0], mid=chosen[1])
            )
            for mid, chosen in selections.items()
        ]
        request = signaling_service_pb2.UpdateSlotsRequest(name=self._name, slots=slots)
        await self._signaling.UpdateSlots(request, metadata=self._metadata(), timeout=_CALL_SECONDS)

    async def wait_until(self, condition: Callable[[], bool], timeout_seconds: float = 10.0) -> None:
        """Wait until something is true of what came in.

        Raises:
            TimeoutError: It did not come true in time.
        """
        await self.peer.wait_until(condition, timeout_seconds)

    async def leave(self) -> None:
        """Leave the meeting and end the connection."""
        if self._name:
            request = signaling_service_pb2.LeaveMeetingRequest(name=self._name)
            with contextlib.suppress(aio.AioRpcError):  # gone is gone
                await self._signaling.LeaveMeeting(request, metadata=self._metadata(), timeout=_CALL_SECONDS)
        await self.close()

    async def close(self) -> None:
        """End everything without a word, as a crash would."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.peer.close()
        await self._channel.close()

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._token}"),)

    def _track(self, source: Source, *, muted: bool) -> track_pb2.Track:
        kind, origin = _SOURCES[source]
        return track_pb2.Track(
            mid=self.peer.mids[source],
            kind=track_pb2.TrackKind.ValueType(kind),
            source=track_pb2.TrackSource.ValueType(origin),
            muted=muted,
        )

    def _media_offer(self) -> signaling_service_pb2.MediaOffer:
        tracks = [self._track(source, muted=muted) for source, muted in self._muted.items()]
        return signaling_service_pb2.MediaOffer(sdp=self._offer, tracks=tracks)

    def _join_request(self) -> signaling_service_pb2.JoinMeetingRequest:
        return signaling_service_pb2.JoinMeetingRequest(
            meeting=self.options.meeting,
            passcode=self.options.passcode,
            display_name=self.options.display_name,
            offer=self._media_offer(),
            request_id=str(uuid.uuid4()),
        )

    async def _watch(self) -> None:
        while True:
            request = signaling_service_pb2.WatchSessionRequest(name=self._name, cursor=self._cursor)
            try:
                async for message in self._signaling.WatchSession(request, metadata=self._metadata()):
                    self.events.append(message)
                    self._cursor = message.cursor
                    self.view.apply(message)
                    if message.event.HasField("media_moved") and message.event.media_moved.epoch != self._epoch:
                        await self._move()
            except aio.AioRpcError as error:
                log.info("bot.watch_ended", code=error.code().name)
                self._cursor = "" if error.code().name == "OUT_OF_RANGE" else self._cursor
            await asyncio.sleep(_RETRY_SECONDS)

    async def _move(self) -> None:
        """Follow the room to its new node, however often it takes."""
        while True:
            try:
                await self._renegotiate()
            except aio.AioRpcError as error:
                log.info("bot.move_refused", code=error.code().name)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def _renegotiate(self) -> None:
        """Offer again, on a new connection: the old one's node has nothing more to say."""
        await self.peer.close()
        muted = self._muted
        self.peer = BotPeer(replace(self.options.peer, microphone=not muted["microphone"], camera=not muted["camera"]))
        self._offer = await self.peer.offer()
        self.peer.mute("screen", muted=muted["screen"])
        request = signaling_service_pb2.RenegotiateMediaRequest(
            name=self._name, offer=self._media_offer(), request_id=str(uuid.uuid4())
        )
        response = await self._signaling.RenegotiateMedia(request, metadata=self._metadata(), timeout=_CALL_SECONDS)
        self._epoch = response.answer.epoch
        self.view.assign(response.answer.slots)
        await self.peer.accept(response.answer.sdp)

    async def _stay(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            request = signaling_service_pb2.HeartbeatRequest(name=self._name)
            try:
                response = await self._signaling.Heartbeat(request, metadata=self._metadata(), timeout=_CALL_SECONDS)
            except aio.AioRpcError as error:
                log.info("bot.heartbeat_failed", code=error.code().name)
                continue
            self._token = response.participant_token or self._token


async def create_meeting(target: str, *, max_participants: int = 0) -> tuple[str, str, str]:
    """Create an instant meeting as a guest.

    Args:
        target: `host:port` of the gateway, or of a control plane.
        max_participants: Most people at a time; 0: the default of meetings.

    Returns:
        Its name, its passcode, and the host's access token.
    """
    channel = open_channel(target)
    try:
        identity: Any = IdentityServiceStub(channel)
        guest = await identity.CreateGuestSession(
            identity_service_pb2.CreateGuestSessionRequest(), timeout=_CALL_SECONDS
        )
        token = guest.credentials.access_token
        meetings: Any = MeetingServiceStub(channel)
        request = meeting_service_pb2.CreateMeetingRequest(
            meeting=meeting_pb2.Meeting(
                type=meeting_pb2.MEETING_TYPE_INSTANT,
                settings=meeting_pb2.MeetingSettings(max_participants=max_participants),
            ),
            request_id=str(uuid.uuid4()),
        )
        response = await meetings.CreateMeeting(
            request, metadata=(("authorization", f"Bearer {token}"),), timeout=_CALL_SECONDS
        )
        return response.meeting.name, response.meeting.passcode, token
    finally:
        await channel.close()
