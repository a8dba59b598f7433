"""`parley bench forwarding`: how many packets a media node sends for a second of its processor time."""

import asyncio
import secrets
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from grpc_kit.channel import open_channel
from parley.meeting.v1 import track_pb2
from parley.sfu.v1 import sfu_control_service_pb2
from parley.sfu.v1.sfu_control_service_pb2_grpc import SfuControlServiceStub
from parley_cli.bench.conditions import conditions
from parley_cli.bench.load import LoadClients, load_clients, measure_floor
from parley_cli.errors import CommandError
from parley_cli.parts import PythonPart

_PUBLISHER = "publisher"
_CALL_SECONDS = 30.0
_CONNECT_SECONDS = 60.0
_WARM_UP_SECONDS = 2.0
_OPENED_AT_A_TIME = 16
_TOKEN = secrets.token_urlsafe(24)


@dataclass(frozen=True)
class ForwardingLoad:
    """What the one publisher sends, and to how many.

    Attributes:
        subscribers: Receivers.
        seconds: How long to measure.
        frames_per_second: Of the publisher's video.
        packets_per_frame: RTP packets of each frame.
        packet_bytes: Payload of each packet.
    """

    subscribers: int = 200
    seconds: float = 10.0
    frames_per_second: int = 30
    packets_per_frame: int = 6
    packet_bytes: int = 1_150


@dataclass(frozen=True)
class _Sample:
    """Counters at one moment."""

    wall: float
    user: float
    system: float
    softirq: float
    packets_out: int
    packets_in: int


@dataclass(frozen=True)
class _Room:
    """A room on a node, driven as the control plane drives it."""

    sfu: Any
    reference: sfu_control_service_pb2.RoomReference
    clients: LoadClients
    pid: int

    async def open(self, client: str, offer: Mapping[str, Any]) -> None:
        """Lets a load client in."""
        tracks = [
            track_pb2.Track(
                mid=track["mid"], kind=track_pb2.TRACK_KIND_VIDEO, source=track_pb2.TRACK_SOURCE_CAMERA, muted=False
            )
            for track in offer["mids"]["send"]
        ]
        request = sfu_control_service_pb2.OpenSessionRequest(
            room=self.reference,
            participant_id=str(uuid.uuid4()),
            session_id=str(uuid.uuid4()),
            sdp_offer=offer["sdp"],
            tracks=tracks,
        )
        response = await self.sfu.OpenSession(request, timeout=_CALL_SECONDS)
        await self.clients.ask("answer", id=client, sdp=response.sdp_answer)

    async def sample(self) -> _Sample:
        """Reads all counters."""
        request = sfu_control_service_pb2.GetStatsRequest(room=self.reference.room)
        stats = await self.sfu.GetStats(request, timeout=_CALL_SECONDS)
        cpu = psutil.Process(self.pid).cpu_times()
        return _Sample(
            wall=time.monotonic(),
            user=cpu.user,
            system=cpu.system,
            softirq=psutil.cpu_times().softirq,
            packets_out=sum(slot.packets_sent for session in stats.sessions for slot in session.slots),
            packets_in=sum(track.packets_received for session in stats.sessions for track in session.tracks),
        )

    async def profiles(self) -> list[str]:
        """SRTP profiles in use."""
        request = sfu_control_service_pb2.GetStatsRequest(room=self.reference.room)
        stats = await self.sfu.GetStats(request, timeout=_CALL_SECONDS)
        return sorted({session.srtp_profile for session in stats.sessions})


async def bench_forwarding(load: ForwardingLoad) -> Mapping[str, Any]:
    """One publisher, many subscribers: packets out per CPU-second of the node, beside the machine's own floor."""
    before = conditions()
    async with _node() as (pid, target), load_clients() as clients:
        channel = open_channel(target, bearer_token=_TOKEN)
        try:
            room = _Room(SfuControlServiceStub(channel), _reference(), clients, pid)
            first, last, profiles = await _measure(room, load)
        finally:
            await channel.close()
        received = (await clients.ask("stats"))["totals"]
    floor = await measure_floor(
        receivers=load.subscribers, segments=load.packets_per_frame, packet_bytes=load.packet_bytes
    )
    return {
        "bench": "forwarding",
        **_figures(first, last),
        "srtp_profiles": profiles,
        "latency_us": received["video_latency_us"],
        "packets_lost": received["lost"],
        "floor": floor,
        "load": {"publishers": 1, **asdict(load)},
        "conditions": before,
    }


async def _measure(room: _Room, load: ForwardingLoad) -> tuple[_Sample, _Sample, list[str]]:
    offer = await room.clients.ask("offer", id=_PUBLISHER, send=[{"kind": "video", "source": "camera"}])
    await room.open(_PUBLISHER, offer)
    turn = asyncio.Semaphore(_OPENED_AT_A_TIME)
    async with asyncio.TaskGroup() as group:
        for number in range(load.subscribers):
            group.create_task(_subscribe(room, f"subscriber-{number}", turn))
    await _connected(room.clients)
    await room.clients.ask(
        "publish",
        id=_PUBLISHER,
        kind="video",
        frames_per_second=load.frames_per_second,
        packets_per_frame=load.packets_per_frame,
        packet_bytes=load.packet_bytes,
    )
    await asyncio.sleep(_WARM_UP_SECONDS)
    await room.clients.ask("stats", reset=True)
    first = await room.sample()
    await asyncio.sleep(load.seconds)
    return first, await room.sample(), await room.profiles()


async def _subscribe(room: _Room, client: str, turn: asyncio.Semaphore) -> None:
    async with turn:
        offer = await room.clients.ask("offer", id=client, send=[], video_slots=1)
        await room.open(client, offer)


async def _connected(clients: LoadClients) -> None:
    deadline = time.monotonic() + _CONNECT_SECONDS
    while True:
        states = [client["state"] for client in (await clients.ask("stats"))["clients"]]
        if all(state == "connected" for state in states):
            return
        if time.monotonic() > deadline:
            message = f"Only {states.count('connected')} of {len(states)} load clients connected."
            raise CommandError(message)
        await asyncio.sleep(0.1)


def _figures(first: _Sample, last: _Sample) -> Mapping[str, Any]:
    packets = last.packets_out - first.packets_out
    user, system = last.user - first.user, last.system - first.system
    wall = last.wall - first.wall
    return {
        "packets_out": packets,
        "packets_in": last.packets_in - first.packets_in,
        "packets_out_per_cpu_second": round(packets / (user + system)) if user + system else None,
        "node_user_seconds": round(user, 2),
        "node_system_seconds": round(system, 2),
        "machine_softirq_seconds": round(last.softirq - first.softirq, 2),
        "wall_seconds": round(wall, 2),
        "packets_out_per_second": round(packets / wall),
        "node_cpu_percent_of_a_core": round(100 * (user + system) / wall, 1),
    }


def _reference() -> sfu_control_service_pb2.RoomReference:
    return sfu_control_service_pb2.RoomReference(room="rooms/10000000001", epoch=1)


@asynccontextmanager
async def _node() -> AsyncIterator[tuple[int, str]]:
    """A media node of its own, without a control plane: what is measured is the node alone."""
    with tempfile.TemporaryDirectory(prefix="parley-") as folder:
        environment = {
            "PARLEY_DATA_DIR": str(Path(folder)),
            "PARLEY_NODE_TOKEN": _TOKEN,
            "PARLEY_NODE_CONTROL_ADDRESS": "127.0.0.1:0",
            "PARLEY_CONTROL_PLANE_TARGET": "127.0.0.1:1",
            "PARLEY_LOG_LEVEL": "WARNING",
        }
        node = PythonPart("node", "media_plane.node", environment)
        node.start()
        try:
            yield node.pid, str(node.ready["control_address"])
        finally:
            await asyncio.to_thread(node.stop)
