"""One of a crowd: joins with media that connects, watches the meeting, and sends heartbeats."""

import asyncio
import random
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from grpc import aio

from parley.identity.v1 import identity_service_pb2
from parley.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from parley.meeting.v1 import track_pb2
from parley.signaling.v1 import event_pb2, signaling_service_pb2
from parley.signaling.v1.signaling_service_pb2_grpc import SignalingServiceStub
from parley_cli.bench.crowd.log import WatchLog
from parley_cli.bench.load import LoadClients

_CALL_SECONDS = 30.0
_ACTION_SECONDS = 10.0
_HEARTBEAT_SECONDS = 20.0
_REOPENED = 200
_REOPEN_PAUSE = 0.5
_AUDIO_SLOTS, _VIDEO_SLOTS = 3, 9
_WATCH = "/parley.signaling.v1.SignalingService/WatchSession"
_KINDS = {"audio": track_pb2.TRACK_KIND_AUDIO, "video": track_pb2.TRACK_KIND_VIDEO}
_SOURCES = {"audio": track_pb2.TRACK_SOURCE_MICROPHONE, "video": track_pb2.TRACK_SOURCE_CAMERA}
_Sized = tuple[int, signaling_service_pb2.WatchSessionResponse]


@dataclass(slots=True)
class Record:
    """What the people of a load process have measured; moments and durations in seconds of the monotonic clock.

    Attributes:
        joins: How long each join took.
        last_join: When the last of them was answered.
        heartbeats: When each was sent, and how long it took.
        failures: Calls that failed, by method and code.
        arrivals: When an event came to each watcher, by what it tells of.
        messages: Messages of all streams.
        message_bytes: Their bytes, without HTTP/2's framing.
        last_event: When the last event came to anybody.
        reopened: Streams that ended and were opened again.
    """

    joins: list[float] = field(default_factory=list)
    last_join: float = 0.0
    heartbeats: list[tuple[float, float]] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    arrivals: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    messages: int = 0
    message_bytes: int = 0
    last_event: float = field(default_factory=time.monotonic)
    reopened: int = 0


class Person:
    """Somebody in the meeting.

    Attributes:
        log: What they were told; None before they are in.
        heard: The events whose way is measured, in the order in which they came.
        name: `meetings/{meeting}/participants/{participant}`; empty before.
    """

    def __init__(self, number: int, channel: aio.Channel, media: LoadClients, record: Record) -> None:
        self._number = number
        self._channel = channel
        self._signaling: Any = SignalingServiceStub(channel)
        self._media = media
        self._record = record
        self._token = ""
        self._request = signaling_service_pb2.JoinMeetingRequest()
        self._cursor = ""
        self._interval = 10.0
        self._tasks: list[asyncio.Task[None]] = []
        self.log: WatchLog | None = None
        self.heard: list[str] = []
        self.name = ""

    async def prepare(self, meeting: str, passcode: str, token: str) -> None:
        """Does what comes before the click: lets them in as a guest unless they have a token, and makes the offer."""
        self._token = token
        if not token:
            identity: Any = IdentityServiceStub(self._channel)
            guest = identity_service_pb2.CreateGuestSessionRequest(meeting=meeting, passcode=passcode)
            response = await identity.CreateGuestSession(guest, timeout=_CALL_SECONDS, wait_for_ready=True)
            self._token = response.credentials.access_token
        offer = await self._media.ask(
            "offer",
            id=self._client,
            send=[{"kind": kind, "source": kind} for kind in _KINDS],
            audio_slots=_AUDIO_SLOTS,
            video_slots=_VIDEO_SLOTS,
        )
        self._request = signaling_service_pb2.JoinMeetingRequest(
            meeting=meeting,
            display_name=f"Person {self._number}",
            offer=signaling_service_pb2.MediaOffer(sdp=offer["sdp"], tracks=_muted(offer["mids"]["send"])),
            request_id=str(uuid.uuid4()),
        )

    async def join(self) -> None:
        """Clicks. From then on the person watches and stays, unless the join fails, which is counted."""
        begun = time.monotonic()
        try:
            response = await self._signaling.JoinMeeting(
                self._request, metadata=self._metadata(), timeout=_CALL_SECONDS
            )
        except aio.AioRpcError as error:
            self._record.failures[f"JoinMeeting {error.code().name}"] += 1
            return
        self._record.last_join = time.monotonic()
        self._record.joins.append(self._record.last_join - begun)
        self.name = response.participant.name
        self._token = response.participant_token
        self._cursor = response.cursor
        self._interval = response.heartbeat_interval.ToTimedelta().total_seconds() or self._interval
        self.log = WatchLog(response.snapshot)
        self._tasks = [asyncio.create_task(self._watch(self.log)), asyncio.create_task(self._stay())]
        await self._media.ask("answer", id=self._client, sdp=response.answer.sdp)

    async def react(self, emoji: str) -> float:
        """Shows everybody an emoji; returns when that was sent."""
        request = signaling_service_pb2.SendReactionRequest(name=self.name, emoji=emoji, request_id=str(uuid.uuid4()))
        return await self._call("SendReaction", request)

    async def unmute(self) -> float:
        """Says that the microphone is on; returns when that was sent."""
        microphone = next(track for track in self._request.offer.tracks if track.kind == track_pb2.TRACK_KIND_AUDIO)
        microphone.muted = False
        request = signaling_service_pb2.UpdateTracksRequest(name=self.name, tracks=[microphone])
        return await self._call("UpdateTracks", request)

    async def close(self) -> None:
        """Ends watching and heartbeats, without a word."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _call(self, method: str, request: Any) -> float:  # noqa: ANN401 - any contract
        """Calls a method; a failure is counted. Returns when it was called."""
        begun = time.monotonic()
        try:
            await getattr(self._signaling, method)(request, metadata=self._metadata(), timeout=_ACTION_SECONDS)
        except aio.AioRpcError as error:
            self._record.failures[f"{method} {error.code().name}"] += 1
        return begun

    @property
    def _client(self) -> str:
        return f"person-{self._number}"

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._token}"),)

    async def _watch(self, log: WatchLog) -> None:
        method: Any = self._channel.unary_stream(
            _WATCH,
            request_serializer=signaling_service_pb2.WatchSessionRequest.SerializeToString,
            response_deserializer=_sized,
        )
        for _ in range(_REOPENED):
            request = signaling_service_pb2.WatchSessionRequest(name=self.name, cursor=self._cursor, event_batches=True)
            log.opened()
            try:
                async for size, message in method(request, metadata=self._metadata()):
                    self._take(log, size, message)
            except aio.AioRpcError as error:
                self._record.failures[f"WatchSession {error.code().name}"] += 1
                if error.code() is grpc.StatusCode.OUT_OF_RANGE:
                    self._cursor = ""
            self._record.reopened += 1
            await asyncio.sleep(_REOPEN_PAUSE)

    def _take(self, log: WatchLog, size: int, message: signaling_service_pb2.WatchSessionResponse) -> None:
        self._record.messages += 1
        self._record.message_bytes += size
        # Who was too slow begins with a snapshot.
        behind = message.go_away.reason == signaling_service_pb2.GO_AWAY_REASON_TOO_SLOW
        self._cursor = "" if behind else message.cursor
        events = log.take(message)
        if not events:
            return
        now = self._record.last_event = time.monotonic()
        for event in events:
            key = _probe(event)
            # A microphone that is on is in all that is told of its owner later, too.
            if key and key not in self.heard:
                self.heard.append(key)
                self._record.arrivals[key].append(now)

    async def _stay(self) -> None:
        await asyncio.sleep(random.uniform(0, self._interval))  # noqa: S311 - nothing to guess
        while True:
            begun = time.monotonic()
            try:
                response = await self._signaling.Heartbeat(
                    signaling_service_pb2.HeartbeatRequest(name=self.name),
                    metadata=self._metadata(),
                    timeout=_HEARTBEAT_SECONDS,
                )
            except aio.AioRpcError as error:
                self._record.failures[f"Heartbeat {error.code().name}"] += 1
            else:
                self._token = response.participant_token or self._token
                self._record.heartbeats.append((begun, time.monotonic() - begun))
            await asyncio.sleep(max(0.0, begun + self._interval - time.monotonic()))


def _sized(content: bytes) -> _Sized:
    return len(content), signaling_service_pb2.WatchSessionResponse.FromString(content)


def _muted(mids: Sequence[Any]) -> Sequence[track_pb2.Track]:
    return [
        track_pb2.Track(mid=each["mid"], kind=_KINDS[each["kind"]], source=_SOURCES[each["kind"]], muted=True)
        for each in mids
    ]


def _probe(event: event_pb2.Event) -> str:
    """What an event tells of, if it is one whose way is measured: a reaction, or a microphone that is on."""
    if event.HasField("reaction_sent"):
        return f"react {event.reaction_sent.participant}"
    if event.HasField("participant_updated"):
        participant = event.participant_updated.participant
        if any(track.kind == track_pb2.TRACK_KIND_AUDIO and not track.muted for track in participant.tracks):
            return f"unmute {participant.name}"
    return ""
