"""LiveKit, over its signalling protocol (protocol buffers on a WebSocket)."""

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import jwt
from livekit.protocol import models, rtc
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from benchmarks.peers.network import Network
from benchmarks.peers.peer import SOURCES, Clients, Entered, Kind, Member, Server
from benchmarks.peers.server_process import ServerProcess
from parley_cli.errors import CommandError
from parley_cli.ports import free_port

PROGRAM: Final = Path(sys.prefix) / "peers" / "livekit" / "server"
"""Where `make bench-peers` lets the Go toolchain put it."""
_KEY: Final = "bench"
_SECRET: Final = "a secret of this benchmark and of nobody else"  # noqa: S105 - it protects nothing
_TOKEN_SECONDS: Final = 3_600
_PROTOCOL: Final = 15
"""Version of the signalling protocol: the newest with one connection each way."""
_REPLY_SECONDS: Final = 30.0
_PING_SECONDS: Final = 5.0
_FIRST_PORT: Final = 50_000
_LAST_PORT: Final = 60_000


class LiveKit:
    """LiveKit as its own sample configuration sets it up, on one node."""

    name = "LiveKit"

    def __init__(self, network: Network, program: Path = PROGRAM) -> None:
        self._network = network
        self._program = program

    def missing(self) -> str:
        """Whether it was built."""
        return "" if self._program.exists() else "LiveKit was not built: it needs the Go toolchain (https://go.dev/dl)."

    def conditions(self) -> Mapping[str, Any]:
        """Its version, and settings that are not its defaults."""
        printed = subprocess.run([self._program, "--version"], check=False, capture_output=True, text=True).stdout  # noqa: S603
        return {
            "version": printed.split()[-1],
            "settings": {"udp_ports": f"{_FIRST_PORT}-{_LAST_PORT}", "redis": "none"},
        }

    @asynccontextmanager
    async def running(self, load: Clients, *, whole: bool) -> AsyncIterator[Server]:  # noqa: ARG002 - it is one process
        """Starts it; everything that it is runs in one process."""
        with tempfile.TemporaryDirectory(prefix="parley-livekit-") as folder:
            port = free_port()
            configuration = Path(folder) / "livekit.yaml"
            # JSON is YAML too.
            configuration.write_text(json.dumps(make_configuration(port, self._network.server_address)))
            process = ServerProcess("livekit", [str(self._program), "--config", str(configuration)], port)
            await asyncio.to_thread(process.start)
            server = _LiveKitServer(load, f"ws://127.0.0.1:{port}", process.pid)
            try:
                yield server
            finally:
                await server.close()
                await asyncio.to_thread(process.stop)


class _LiveKitServer:
    def __init__(self, load: Clients, url: str, pid: int) -> None:
        self._load = load
        self._url = url
        self.pids = [pid]
        self._connections: dict[str, LiveKitConnection] = {}

    async def prepare(self, room: int, member: Member) -> None:
        """Nothing comes before the click."""

    async def enter(self, room: int, members: Sequence[Member]) -> Sequence[Entered]:
        """All connect and publish; the server offers what there is to receive."""
        entered = []
        for member in members:
            connection = LiveKitConnection(self._load, member)
            self._connections[member.id] = connection
            await connection.open(self._url, room)
            sender = await connection.publish() if member.sends else ""
            entered.append(Entered(sender, connection.receiver if member.receives else ""))
        await asyncio.gather(*(self._connections[member.id].offered() for member in members if member.receives))
        return entered

    async def leave(self, member: str) -> None:
        """Says that the member leaves, and closes the connection."""
        await self._connections.pop(member).close()

    async def close(self) -> None:
        await asyncio.gather(*(connection.close() for connection in self._connections.values()))


class LiveKitConnection:
    """One member on one WebSocket, with one peer connection each way."""

    def __init__(self, load: Clients, member: Member) -> None:
        self.receiver = f"{member.id}-receiver"
        self._sender = f"{member.id}-sender"
        self._load = load
        self._member = member
        self._socket: ClientConnection | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._joined = asyncio.Event()
        self._offered = asyncio.Event()
        self._published = asyncio.Semaphore(0)
        self._answered = asyncio.Event()
        # Candidates may come before the description that they belong to.
        self._early: list[str] = []

    async def open(self, url: str, room: int) -> None:
        """Connects and waits until the server has let the member in."""
        query = urlencode(
            {
                "access_token": make_token(self._member.id, room),
                "protocol": _PROTOCOL,
                "auto_subscribe": int(bool(self._member.receives)),
                "sdk": "python",
            }
        )
        self._socket = await connect(f"{url}/rtc?{query}", compression=None)
        self._tasks = [asyncio.create_task(self._read(self._socket)), asyncio.create_task(self._stay())]
        await self._reply(self._joined.wait())

    async def publish(self) -> str:
        """Announces the tracks, offers them and takes the answer; returns the load client."""
        for kind in self._member.sends:
            await self._send(rtc.SignalRequest(add_track=add_track(kind)))
        for _ in self._member.sends:
            await self._reply(self._published.acquire())
        offer = await self._load.ask("offer", id=self._sender, send=self._member.track_operations)
        await self._send(rtc.SignalRequest(offer=rtc.SessionDescription(type="offer", sdp=offer["sdp"])))
        await self._reply(self._answered.wait())
        return self._sender

    async def offered(self) -> None:
        """Waits until the server's first offer is answered."""
        await self._reply(self._offered.wait())

    async def close(self) -> None:
        """Leaves, and closes the connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket:
            with contextlib.suppress(OSError, ConnectionClosed):
                await self._send(rtc.SignalRequest(leave=rtc.LeaveRequest()))
                await self._socket.close()

    async def _reply(self, arrival: Coroutine[Any, Any, object]) -> None:
        waiting = asyncio.create_task(arrival)
        try:
            # A task that fails will bring no reply: what it has failed of is the news.
            watched = [waiting, *self._tasks]
            done, _ = await asyncio.wait(watched, timeout=_REPLY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                message = f"LiveKit does not answer {self._member.id} within {_REPLY_SECONDS:.0f} s."
                raise CommandError(message)
            for task in done:
                task.result()
        finally:
            waiting.cancel()

    async def _send(self, request: rtc.SignalRequest) -> None:
        assert self._socket  # noqa: S101 - only called when open
        await self._socket.send(request.SerializeToString())

    async def _stay(self) -> None:
        while True:
            await asyncio.sleep(_PING_SECONDS)
            await self._send(rtc.SignalRequest(ping_req=rtc.Ping(timestamp=time.time_ns() // 1_000_000)))

    async def _read(self, socket: ClientConnection) -> None:
        async for data in socket:
            assert isinstance(data, bytes)  # noqa: S101 - it answers as it is asked: in protocol buffers
            await self._handle(rtc.SignalResponse.FromString(data))

    async def _handle(self, response: rtc.SignalResponse) -> None:
        match response.WhichOneof("message"):
            case "join":
                self._joined.set()
            case "track_published":
                self._published.release()
            case "answer":
                # Before candidates are read: a browser refuses those of a description that it has not got.
                await self._load.ask("answer", id=self._sender, sdp=response.answer.sdp)
                self._answered.set()
            case "offer":
                await self._accept(response.offer)
            case "trickle":
                await self._candidate(response.trickle)
            case "leave":
                message = f"LiveKit sends {self._member.id} away: {response.leave.reason}"
                raise CommandError(message)

    async def _accept(self, offer: rtc.SessionDescription) -> None:
        feedback = self._member.feedback
        answer = await self._load.ask("accept", id=self.receiver, sdp=offer.sdp, feedback=feedback)
        description = rtc.SessionDescription(type="answer", sdp=answer["sdp"], id=offer.id)
        await self._send(rtc.SignalRequest(answer=description))
        for candidate in self._early:
            await self._load.ask("candidate", id=self.receiver, candidate=candidate)
        self._early.clear()
        self._offered.set()

    async def _candidate(self, trickle: rtc.TrickleRequest) -> None:
        candidate = udp_candidate(trickle.candidateInit)
        if not candidate:
            return
        if trickle.target == rtc.SignalTarget.PUBLISHER:
            await self._load.ask("candidate", id=self._sender, candidate=candidate)
        elif self._offered.is_set():
            await self._load.ask("candidate", id=self.receiver, candidate=candidate)
        else:
            self._early.append(candidate)


def make_configuration(port: int, address: str) -> Mapping[str, Any]:
    """A single node that announces one address and asks nobody outside for its own."""
    return {
        "port": port,
        "bind_addresses": ["127.0.0.1"],
        "rtc": {
            "port_range_start": _FIRST_PORT,
            "port_range_end": _LAST_PORT,
            "tcp_port": 0,
            "use_external_ip": False,
            "node_ip": address,
            "stun_servers": ["127.0.0.1:3478"],
        },
        "keys": {_KEY: _SECRET},
        "logging": {"level": "error"},
    }


def make_token(identity: str, room: int) -> str:
    """A token that lets somebody into a room."""
    now = int(time.time())
    grant = {"room": str(room), "roomJoin": True, "canPublish": True, "canSubscribe": True}
    claims = {"iss": _KEY, "sub": identity, "nbf": now - 10, "exp": now + _TOKEN_SECONDS, "video": grant}
    return jwt.encode(claims, _SECRET, algorithm="HS256")


def add_track(kind: Kind) -> rtc.AddTrackRequest:
    """Announces a microphone, or a camera with one encoding."""
    if kind == "audio":
        return rtc.AddTrackRequest(cid=SOURCES[kind], type=models.TrackType.AUDIO, source=models.TrackSource.MICROPHONE)
    layer = models.VideoLayer(quality=models.VideoQuality.HIGH, width=640, height=360)
    return rtc.AddTrackRequest(
        cid=SOURCES[kind],
        type=models.TrackType.VIDEO,
        source=models.TrackSource.CAMERA,
        width=640,
        height=360,
        layers=[layer],
    )


def udp_candidate(candidate_init: str) -> str:
    """The candidate line of a `RTCIceCandidateInit` in JSON; empty when it is not UDP."""
    candidate: str = json.loads(candidate_init)["candidate"]
    words = candidate.split()
    return candidate if len(words) > 2 and words[2].lower() == "udp" else ""  # noqa: PLR2004 - RFC 8839 section 5.1
