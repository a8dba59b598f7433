"""Drives a media node as the control plane does, for tests of the node alone: a process, a room, and bots in it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from grpc_kit.channel import open_channel
from media_plane.bots.peer import BotPeer, PeerOptions, Source
from parley.meeting.v1 import track_pb2
from parley.sfu.v1 import media_pb2
from parley.sfu.v1 import sfu_control_service_pb2 as pb
from parley.sfu.v1.sfu_control_service_pb2_grpc import SfuControlServiceStub

NODE_TOKEN = "token-of-a-test"
READY_SECONDS = 60.0

_SOURCES = {
    "microphone": (track_pb2.TRACK_KIND_AUDIO, track_pb2.TRACK_SOURCE_MICROPHONE),
    "camera": (track_pb2.TRACK_KIND_VIDEO, track_pb2.TRACK_SOURCE_CAMERA),
    "screen": (track_pb2.TRACK_KIND_VIDEO, track_pb2.TRACK_SOURCE_SCREEN),
}


class NodeProcess:
    """A node that runs."""

    def __init__(self, process: asyncio.subprocess.Process, ready: dict[str, Any]) -> None:
        self.process = process
        self.ready = ready

    @property
    def control_address(self) -> str:
        return str(self.ready["control_address"])

    async def stop(self) -> int:
        """End it as a supervisor does; return its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), 30)


@asynccontextmanager
async def run_node(data_dir: Path, **environment: str) -> AsyncIterator[NodeProcess]:
    """Run a node for a while, without a control plane unless the environment names one."""
    settings = {
        "PARLEY_NODE_TOKEN": NODE_TOKEN,
        "PARLEY_DATA_DIR": str(data_dir),
        "PARLEY_NODE_CONTROL_ADDRESS": "127.0.0.1:0",
        "PARLEY_CONTROL_PLANE_TARGET": "127.0.0.1:1",
        "PARLEY_MEDIA_PORTS": "[0]",
        "PARLEY_LOG_LEVEL": "WARNING",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "media_plane.node",
        env=os.environ | settings | environment,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), READY_SECONDS)).decode()
    assert line.startswith("READY "), f"the node did not start: {line!r}"
    node = NodeProcess(process, json.loads(line.removeprefix("READY ")))
    try:
        yield node
    finally:
        await node.stop()


class Guest:
    """A bot in a room of a node."""

    def __init__(self, participant_id: str, peer: BotPeer) -> None:
        self.participant_id = participant_id
        self.session_id = str(uuid.uuid4())
        self.peer = peer
        self.offer = ""
        self.answer = pb.OpenSessionResponse()

    @property
    def camera(self) -> media_pb2.TrackReference:
        return media_pb2.TrackReference(participant_id=self.participant_id, mid=self.peer.mids["camera"])


class NodeDriver:
    """The control plane's half of the conversation with a node."""

    def __init__(self, address: str, *, token: str = NODE_TOKEN, epoch: int = 1) -> None:
        self._channel = open_channel(address, bearer_token=token)
        self.stub: Any = SfuControlServiceStub(self._channel)
        self.room = pb.RoomReference(room=f"rooms/{uuid.uuid4().int % 10**11}", epoch=epoch)
        self.events: list[media_pb2.NodeEvent] = []
        self.slots: dict[tuple[str, str], media_pb2.TrackReference] = {}
        self.speaker = ""
        self._watching: asyncio.Task[None] | None = None
        self.guests: list[Guest] = []

    async def __aenter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await asyncio.gather(*(guest.peer.close() for guest in self.guests))
        await self._channel.close()

    async def join(self, number: int, *, participant_id: str = "", **options: Any) -> Guest:  # noqa: ANN401 - PeerOptions
        """Bring a bot into the room; a participant's id brings them back with a new session."""
        peer = BotPeer(PeerOptions(number=number, **options))
        guest = Guest(participant_id or str(uuid.uuid4()), peer)
        guest.offer = await peer.offer()
        self.guests.append(guest)
        guest.answer = await self.open(guest)
        await peer.accept(guest.answer.sdp_answer)
        return guest

    async def open(self, guest: Guest, slots: Sequence[media_pb2.SlotSelection] = ()) -> pb.OpenSessionResponse:
        request = pb.OpenSessionRequest(
            room=self.room,
            participant_id=guest.participant_id,
            session_id=guest.session_id,
            sdp_offer=guest.offer,
            tracks=tracks_of(guest.peer),
            slots=slots,
        )
        response: pb.OpenSessionResponse = await self.stub.OpenSession(request, timeout=10)
        for slot in response.slots:
            self.slots[guest.participant_id, slot.mid] = slot.source
        return response

    async def leave(self, guest: Guest) -> None:
        request = pb.CloseSessionRequest(room=self.room, participant_id=guest.participant_id)
        await self.stub.CloseSession(request, timeout=10)
        self.guests.remove(guest)
        await guest.peer.close()

    async def mute(self, guest: Guest, source: Source, *, muted: bool, also_in_bot: bool = True) -> None:
        if also_in_bot:
            guest.peer.mute(source, muted=muted)
        request = pb.UpdateTracksRequest(
            room=self.room, participant_id=guest.participant_id, tracks=[track_of(guest.peer, source, muted=muted)]
        )
        await self.stub.UpdateTracks(request, timeout=10)

    async def show(self, guest: Guest, *selections: media_pb2.SlotSelection) -> None:
        request = pb.UpdateSlotsRequest(room=self.room, participant_id=guest.participant_id, slots=selections)
        await self.stub.UpdateSlots(request, timeout=10)

    async def is_serving(self) -> bool:
        """What the node says of its health."""
        stub: Any = health_pb2_grpc.HealthStub(self._channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    async def until(self, condition: Callable[[], bool], timeout_seconds: float = 30.0) -> None:
        """Wait until something is true."""
        async with asyncio.timeout(timeout_seconds):
            while not condition():  # noqa: ASYNC110 - what is waited for comes from many tasks
                await asyncio.sleep(0.02)

    async def _watch(self) -> None:
        call: aio.UnaryStreamCall[Any, Any] = self.stub.WatchEvents(pb.WatchEventsRequest())
        async for message in call:
            if message.WhichOneof("message") != "event":
                continue
            event = message.event
            self.events.append(event)
            if event.HasField("slot_states_changed"):
                self._take_slots(event.slot_states_changed)
            elif event.HasField("room_slot_states_changed"):
                for changed in event.room_slot_states_changed.sessions:
                    self._take_slots(changed)
            elif event.HasField("speaker_changed"):
                self.speaker = event.speaker_changed.participant_id

    def _take_slots(self, changed: media_pb2.SlotStatesChanged) -> None:
        for slot in changed.slots:
            self.slots[changed.participant_id, slot.mid] = slot.source


def track_of(peer: BotPeer, source: Source, *, muted: bool) -> track_pb2.Track:
    kind, origin = _SOURCES[source]
    return track_pb2.Track(mid=peer.mids[source], kind=kind, source=origin, muted=muted)


def tracks_of(peer: BotPeer) -> list[track_pb2.Track]:
    return [
        track_of(peer, "microphone", muted=not peer.options.microphone),
        track_of(peer, "camera", muted=not peer.options.camera),
        track_of(peer, "screen", muted=True),
    ]
