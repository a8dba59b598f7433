"""A media node of its own and the load clients in its rooms: what the measurements of forwarding drive."""

import asyncio
import json
import os
import secrets
import tempfile
import time
import urllib.request
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from grpc_kit.channel import open_channel
from parley.meeting.v1 import track_pb2
from parley.sfu.v1 import sfu_control_service_pb2
from parley.sfu.v1.sfu_control_service_pb2_grpc import SfuControlServiceStub
from parley_cli.bench.load import LoadClients, load_clients
from parley_cli.errors import CommandError
from parley_cli.parts import PythonPart
from parley_cli.ports import free_port

_CALL_SECONDS = 30.0
_CONNECT_SECONDS = 60.0
_OPENED_AT_A_TIME = 16
_FIRST_ROOM = 10_000_000_001
_TOKEN = secrets.token_urlsafe(24)
_KINDS = {"video": track_pb2.TRACK_KIND_VIDEO, "audio": track_pb2.TRACK_KIND_AUDIO}
_SOURCES = {"video": track_pb2.TRACK_SOURCE_CAMERA, "audio": track_pb2.TRACK_SOURCE_MICROPHONE}


@dataclass(frozen=True)
class Member:
    """A client in a room.

    Attributes:
        client: Its name in the load client.
        room: The room's place.
        sends: What it sends ("video", "audio").
        video_slots: Pictures it can receive at once.
        audio_slots: Voices it can receive at once.
        feedback: Whether it offers transport-wide feedback. To one that offers it and then stops, the node soon sends
            no video any more, as it should.
    """

    client: str
    room: int
    sends: tuple[str, ...]
    video_slots: int
    audio_slots: int
    feedback: bool = True


@dataclass(frozen=True)
class Sample:
    """Counters at one moment; CPU times in seconds, of the whole process and of the engine's threads alone."""

    wall: float
    user: float
    system: float
    engine: float
    softirq: float
    packets_out: int
    packets_in: int
    runs_out: int


@dataclass(frozen=True)
class Fleet:
    """Rooms on a node, driven as the control plane drives them."""

    sfu: Any
    clients: LoadClients
    pid: int
    rooms: int
    metrics_port: int

    async def join(self, members: list[Member]) -> None:
        """Lets everybody in and waits until all are connected."""
        turn = asyncio.Semaphore(_OPENED_AT_A_TIME)
        async with asyncio.TaskGroup() as group:
            for member in members:
                group.create_task(self._open(member, turn))
        await self._connected()

    async def _open(self, member: Member, turn: asyncio.Semaphore) -> None:
        async with turn:
            offer = await self.clients.ask(
                "offer",
                id=member.client,
                send=[{"kind": kind, "source": kind} for kind in member.sends],
                video_slots=member.video_slots,
                audio_slots=member.audio_slots,
            )
            tracks = [
                track_pb2.Track(
                    mid=track["mid"], kind=_KINDS[track["kind"]], source=_SOURCES[track["kind"]], muted=False
                )
                for track in offer["mids"]["send"]
            ]
            request = sfu_control_service_pb2.OpenSessionRequest(
                room=_reference(member.room),
                participant_id=str(uuid.uuid4()),
                session_id=str(uuid.uuid4()),
                sdp_offer=offer["sdp"] if member.feedback else _without_feedback(offer["sdp"]),
                tracks=tracks,
            )
            response = await self.sfu.OpenSession(request, timeout=_CALL_SECONDS)
            await self.clients.ask("answer", id=member.client, sdp=response.sdp_answer)

    async def _connected(self) -> None:
        deadline = time.monotonic() + _CONNECT_SECONDS
        while True:
            states = [client["state"] for client in (await self.clients.ask("stats"))["clients"]]
            if all(state == "connected" for state in states):
                return
            if time.monotonic() > deadline:
                message = f"Only {states.count('connected')} of {len(states)} load clients connected."
                raise CommandError(message)
            await asyncio.sleep(0.1)

    async def sample(self) -> Sample:
        """Reads all counters, from the node's metrics: one request, however many sessions there are."""
        return await asyncio.to_thread(self._sample)

    def _sample(self) -> Sample:
        address = f"http://127.0.0.1:{self.metrics_port}/metrics"
        with urllib.request.urlopen(address, timeout=_CALL_SECONDS) as answer:
            lines = answer.read().decode().splitlines()
        values = dict(line.rsplit(" ", 1) for line in lines if line.startswith("parley_node_"))
        cpu = psutil.Process(self.pid).cpu_times()
        return Sample(
            wall=time.monotonic(),
            user=cpu.user,
            system=cpu.system,
            engine=float(values["parley_node_engine_cpu_seconds_total"]),
            softirq=psutil.cpu_times().softirq,
            packets_out=round(float(values['parley_node_packets_total{direction="out"}'])),
            packets_in=round(float(values['parley_node_packets_total{direction="in"}'])),
            runs_out=round(float(values["parley_node_send_runs_total"])),
        )

    async def profiles(self) -> list[str]:
        """SRTP profiles in use in the first room."""
        request = sfu_control_service_pb2.GetStatsRequest(room=_reference(0).room)
        stats = await self.sfu.GetStats(request, timeout=_CALL_SECONDS)
        return sorted({session.srtp_profile for session in stats.sessions})


@asynccontextmanager
async def open_fleet(*, rooms: int, shards: int) -> AsyncIterator[Fleet]:
    """A node without a control plane, and a load client: what is measured is the node alone.

    Shards keep to the first cores and the load client to those that are left, so that neither waits for the other.
    """
    cores = range(shards, os.cpu_count() or 1)
    async with _node(shards) as (pid, target, metrics_port), load_clients(cores=cores) as clients:
        channel = open_channel(target, bearer_token=_TOKEN)
        try:
            yield Fleet(SfuControlServiceStub(channel), clients, pid, rooms, metrics_port)
        finally:
            await channel.close()


def _without_feedback(sdp: str) -> str:
    lines = sdp.splitlines(keepends=True)
    return "".join(line for line in lines if "transport-wide-cc" not in line and "transport-cc" not in line)


def _reference(room: int) -> sfu_control_service_pb2.RoomReference:
    return sfu_control_service_pb2.RoomReference(room=f"rooms/{_FIRST_ROOM + room}", epoch=1)


@asynccontextmanager
async def _node(shards: int) -> AsyncIterator[tuple[int, str, int]]:
    metrics_port = free_port()
    with tempfile.TemporaryDirectory(prefix="parley-") as folder:
        environment: Mapping[str, str] = {
            "PARLEY_DATA_DIR": str(Path(folder)),
            "PARLEY_NODE_TOKEN": _TOKEN,
            "PARLEY_NODE_CONTROL_ADDRESS": "127.0.0.1:0",
            "PARLEY_CONTROL_PLANE_TARGET": "127.0.0.1:1",
            "PARLEY_NODE_METRICS_PORT": str(metrics_port),
            "PARLEY_MEDIA_PORTS": json.dumps([0] * shards),
            "PARLEY_NODE_PIN_CORES": "true",
            "PARLEY_LOG_LEVEL": "WARNING",
        }
        node = PythonPart("node", "media_plane.node", environment)
        node.start()
        try:
            yield node.pid, str(node.ready["control_address"]), metrics_port
        finally:
            await asyncio.to_thread(node.stop)
