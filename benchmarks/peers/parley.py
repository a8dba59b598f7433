"""Parley: its media node alone for forwarding, the whole product for joining."""

import asyncio
import contextlib
import itertools
import json
import secrets
import tempfile
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from grpc import aio

from benchmarks.peers.network import Network
from benchmarks.peers.peer import Clients, Entered, Member, Server
from grpc_kit.channel import open_channel
from media_plane.bots.client import create_meeting
from parley.identity.v1 import identity_service_pb2
from parley.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from parley.meeting.v1 import track_pb2
from parley.sfu.v1 import sfu_control_service_pb2
from parley.sfu.v1.sfu_control_service_pb2_grpc import SfuControlServiceStub
from parley.signaling.v1 import signaling_service_pb2
from parley.signaling.v1.signaling_service_pb2_grpc import SignalingServiceStub
from parley_cli.bench.product import own_product
from parley_cli.parts import PythonPart
from parley_cli.versions import versions

_CALL_SECONDS: Final = 30.0
_FIRST_ROOM: Final = 10_000_000_000


class Parley:
    """Parley from this work tree."""

    name = "Parley"

    def __init__(self, network: Network) -> None:
        self._network = network

    def missing(self) -> str:
        """Nothing: it runs this program."""
        return ""

    def conditions(self) -> Mapping[str, Any]:
        """Its version; it runs with its defaults."""
        return {"version": versions()["parley-server"], "settings": {}}

    @asynccontextmanager
    async def running(self, load: Clients, *, whole: bool) -> AsyncIterator[Server]:
        """Starts a media node, or all of the product."""
        media = {"PARLEY_MEDIA_ADDRESSES": json.dumps([self._network.server_address])}
        if whole:
            async with own_product(media) as product:
                server = _Product(load, product.target, list(product.parts.values()))
                try:
                    yield server
                finally:
                    await server.close()
            return
        token = secrets.token_urlsafe(24)
        with tempfile.TemporaryDirectory(prefix="parley-") as folder:
            environment = {
                "PARLEY_DATA_DIR": folder,
                "PARLEY_NODE_TOKEN": token,
                "PARLEY_NODE_CONTROL_ADDRESS": "127.0.0.1:0",
                "PARLEY_CONTROL_PLANE_TARGET": "127.0.0.1:1",
                "PARLEY_LOG_LEVEL": "WARNING",
                **media,
            }
            node = PythonPart("node", "media_plane.node", environment)
            await asyncio.to_thread(node.start)
            channel = open_channel(str(node.ready["control_address"]), bearer_token=token)
            try:
                yield _Node(load, SfuControlServiceStub(channel), node.pid)
            finally:
                await channel.close()
                await asyncio.to_thread(node.stop)


class _Node:
    """A media node, driven as the control plane drives it."""

    def __init__(self, load: Clients, sfu: Any, pid: int) -> None:  # noqa: ANN401 - a stub
        self._load = load
        self._sfu = sfu
        self.pids = [pid]
        self._sessions: dict[str, tuple[sfu_control_service_pb2.RoomReference, str]] = {}

    async def prepare(self, room: int, member: Member) -> None:
        """Nothing: who may enter is the control plane's business."""

    async def enter(self, room: int, members: Sequence[Member]) -> Sequence[Entered]:
        """Opens a session for each."""
        reference = sfu_control_service_pb2.RoomReference(room=f"rooms/{_FIRST_ROOM + room}", epoch=1)
        return [await self._enter(reference, member) for member in members]

    async def leave(self, member: str) -> None:
        """Closes the session."""
        reference, participant = self._sessions.pop(member)
        request = sfu_control_service_pb2.CloseSessionRequest(room=reference, participant_id=participant)
        await self._sfu.CloseSession(request, timeout=_CALL_SECONDS)

    async def _enter(self, room: sfu_control_service_pb2.RoomReference, member: Member) -> Entered:
        offer = await make_offer(self._load, member)
        participant = str(uuid.uuid4())
        self._sessions[member.id] = (room, participant)
        request = sfu_control_service_pb2.OpenSessionRequest(
            room=room,
            participant_id=participant,
            session_id=str(uuid.uuid4()),
            sdp_offer=offer["sdp"],
            tracks=tracks_of(offer),
        )
        response = await self._sfu.OpenSession(request, timeout=_CALL_SECONDS)
        await self._load.ask("answer", id=member.id, sdp=response.sdp_answer)
        return entered(member)


class _Product:
    """The product as its users meet it: gRPC through Envoy."""

    def __init__(self, load: Clients, target: str, pids: Sequence[int]) -> None:
        self._load = load
        self._target = target
        self.pids = pids
        self._meetings: dict[int, tuple[str, str]] = {}
        self._tokens: dict[str, str] = {}
        self._participants: dict[str, _Participant] = {}
        self._numbers = itertools.count(1)

    async def prepare(self, room: int, member: Member) -> None:
        """What the page does before the click: the first member makes the meeting, others get in as guests."""
        if room not in self._meetings:
            name, passcode, token = await create_meeting(self._target)
            self._meetings[room] = (name, passcode)
        else:
            token = await _guest_token(self._target, *self._meetings[room])
        self._tokens[member.id] = token

    async def enter(self, room: int, members: Sequence[Member]) -> Sequence[Entered]:
        """Joins the meeting, each on a connection of their own."""
        for member in members:
            if member.id not in self._tokens:
                await self.prepare(room, member)
            participant = _Participant(self._load, member, self._target, self._tokens.pop(member.id))
            self._participants[member.id] = participant
            await participant.join(*self._meetings[room])
        return [entered(member) for member in members]

    async def leave(self, member: str) -> None:
        """Leaves the meeting."""
        await self._participants.pop(member).leave()

    async def close(self) -> None:
        await asyncio.gather(*(participant.leave() for participant in self._participants.values()))


class _Participant:
    def __init__(self, load: Clients, member: Member, target: str, token: str) -> None:
        self._load = load
        self._member = member
        self._token = token
        self._channel = open_channel(target, options=[("grpc.use_local_subchannel_pool", 1)])
        self._signaling: Any = SignalingServiceStub(self._channel)
        self._name = ""
        self._staying: asyncio.Task[None] | None = None

    async def join(self, meeting: str, passcode: str) -> None:
        offer = await make_offer(self._load, self._member)
        request = signaling_service_pb2.JoinMeetingRequest(
            meeting=meeting,
            passcode=passcode,
            display_name=self._member.id,
            offer=signaling_service_pb2.MediaOffer(sdp=offer["sdp"], tracks=tracks_of(offer)),
            request_id=str(uuid.uuid4()),
        )
        response = await self._signaling.JoinMeeting(request, metadata=self._metadata(), timeout=_CALL_SECONDS)
        self._name, self._token = response.participant.name, response.participant_token
        await self._load.ask("answer", id=self._member.id, sdp=response.answer.sdp)
        interval = response.heartbeat_interval.ToNanoseconds() / 1e9
        self._staying = asyncio.create_task(self._stay(interval))

    async def leave(self) -> None:
        if self._staying:
            self._staying.cancel()
        request = signaling_service_pb2.LeaveMeetingRequest(name=self._name)
        with contextlib.suppress(aio.AioRpcError):  # gone is gone
            await self._signaling.LeaveMeeting(request, metadata=self._metadata(), timeout=_CALL_SECONDS)
        await self._channel.close()

    async def _stay(self, interval: float) -> None:
        while True:
            await asyncio.sleep(interval)
            request = signaling_service_pb2.HeartbeatRequest(name=self._name)
            response = await self._signaling.Heartbeat(request, metadata=self._metadata(), timeout=_CALL_SECONDS)
            self._token = response.participant_token or self._token

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._token}"),)


async def _guest_token(target: str, meeting: str, passcode: str) -> str:
    channel = open_channel(target)
    try:
        identity: Any = IdentityServiceStub(channel)
        request = identity_service_pb2.CreateGuestSessionRequest(meeting=meeting, passcode=passcode)
        response = await identity.CreateGuestSession(request, timeout=_CALL_SECONDS)
        return str(response.credentials.access_token)
    finally:
        await channel.close()


async def make_offer(load: Clients, member: Member) -> Mapping[str, Any]:
    """Makes the offer of a member: one connection both ways."""
    receives = member.receives or {}
    slots = {f"{kind}_slots": count for kind, count in receives.items()}
    return await load.ask("offer", id=member.id, send=member.track_operations, feedback=member.feedback, **slots)


def tracks_of(offer: Mapping[str, Any]) -> list[track_pb2.Track]:
    """The tracks of a load client's offer, in words of the contract."""
    kinds = {
        "audio": (track_pb2.TRACK_KIND_AUDIO, track_pb2.TRACK_SOURCE_MICROPHONE),
        "video": (track_pb2.TRACK_KIND_VIDEO, track_pb2.TRACK_SOURCE_CAMERA),
    }
    return [
        track_pb2.Track(mid=track["mid"], kind=kinds[track["kind"]][0], source=kinds[track["kind"]][1], muted=False)
        for track in offer["mids"]["send"]
    ]


def entered(member: Member) -> Entered:
    """One load client both sends and receives."""
    return Entered(member.id if member.sends else "", member.id if member.receives else "")
