"""Janus with its plugin VideoRoom, over its WebSocket API."""

import asyncio
import contextlib
import itertools
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from benchmarks.peers.network import Network
from benchmarks.peers.peer import Clients, Entered, Member, Server
from benchmarks.peers.server_process import ServerProcess
from parley_cli.errors import CommandError
from parley_cli.ports import free_port

_REPLY_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.02
_EVENT_LOOPS: Final = 2
"""Threads for media; 0, the default, is one thread for each participant, which costs more with many of them."""
_MAX_PUBLISHERS: Final = 100

_MAIN: Final = """
general: {{
  configs_folder = "{folder}"
  log_to_stdout = true
  debug_level = 2
  event_loops = {event_loops}
  session_timeout = 0
}}
media: {{ rtp_port_range = "20000-40000" }}
nat: {{ ice_enforce_list = "{address}" }}
plugins: {{ disable = "{plugins}" }}
transports: {{ disable = "{transports}" }}
"""
_PLUGINS: Final = [
    *("audiobridge", "duktape", "echotest", "lua", "nosip", "recordplay"),
    *("sip", "streaming", "textroom", "videocall", "voicemail"),
]
_TRANSPORTS: Final = ["http", "mqtt", "nanomsg", "pfunix", "rabbitmq"]
_WEBSOCKETS: Final = """
general: {{ ws = true
  ws_interface = "lo"
  ws_port = {port} }}
admin: {{ admin_ws = false }}
"""


class Janus:
    """Janus as Debian packages it."""

    name = "Janus"

    def __init__(self, network: Network, event_loops: int = _EVENT_LOOPS) -> None:
        self._network = network
        self._event_loops = event_loops

    def missing(self) -> str:
        """Whether it is installed."""
        return "" if shutil.which("janus") else "Janus is not installed: `apt-get install janus`."

    def conditions(self) -> Mapping[str, Any]:
        """Its version, and settings that are not its defaults."""
        program = shutil.which("janus") or "janus"
        printed = subprocess.run([program, "--version"], check=False, capture_output=True, text=True).stdout  # noqa: S603
        return {
            "version": read_version(printed),
            "settings": {"event_loops": self._event_loops, "session_timeout": 0, "plugins": "videoroom only"},
        }

    @asynccontextmanager
    async def running(self, load: Clients, *, whole: bool) -> AsyncIterator[Server]:  # noqa: ARG002 - it is one process
        """Starts it; everything that it is runs in one process."""
        with tempfile.TemporaryDirectory(prefix="parley-janus-") as folder:
            port = free_port()
            self._configure(Path(folder), port)
            process = ServerProcess("janus", [shutil.which("janus") or "janus", "-F", folder], port)
            await asyncio.to_thread(process.start)
            server = _JanusServer(load, f"ws://127.0.0.1:{port}", process.pid)
            try:
                yield server
            finally:
                await server.close()
                await asyncio.to_thread(process.stop)

    def _configure(self, folder: Path, port: int) -> None:
        main = _MAIN.format(
            folder=folder,
            event_loops=self._event_loops,
            address=self._network.server_address,
            plugins=",".join(f"libjanus_{name}.so" for name in _PLUGINS),
            transports=",".join(f"libjanus_{name}.so" for name in _TRANSPORTS),
        )
        (folder / "janus.jcfg").write_text(main)
        (folder / "janus.transport.websockets.jcfg").write_text(_WEBSOCKETS.format(port=port))
        (folder / "janus.plugin.videoroom.jcfg").write_text("general: { }\n")


class _JanusServer:
    def __init__(self, load: Clients, url: str, pid: int) -> None:
        self._load = load
        self._url = url
        self.pids = [pid]
        self._rooms: set[int] = set()
        self._connections: dict[str, JanusConnection] = {}

    async def prepare(self, room: int, member: Member) -> None:
        """Nothing comes before the click."""

    async def enter(self, room: int, members: Sequence[Member]) -> Sequence[Entered]:
        """Senders publish; receivers then ask who there is and subscribe to all others in one connection."""
        entered = {member.id: Entered("", "") for member in members}
        for member in (member for member in members if member.sends):
            entered[member.id] = Entered(await self._publish(room, member), "")
        for member in (member for member in members if member.receives):
            entered[member.id] = Entered(entered[member.id].sender, await self._subscribe(room, member))
        return list(entered.values())

    async def leave(self, member: str) -> None:
        """Closing the connection ends the session."""
        await self._connections.pop(member).close()

    async def close(self) -> None:
        await asyncio.gather(*(connection.close() for connection in self._connections.values()))

    async def _connect(self, member: str) -> "JanusConnection":
        if member not in self._connections:
            self._connections[member] = await JanusConnection.open(self._url)
        return self._connections[member]

    async def _publish(self, room: int, member: Member) -> str:
        connection = await self._connect(member.id)
        handle = await connection.attach()
        if room not in self._rooms:
            self._rooms.add(room)
            await connection.message(handle, create_room(room))
        client = f"{member.id}-sender"
        offer = await self._load.ask("offer", id=client, send=member.track_operations)
        request = {"request": "joinandconfigure", "room": room, "ptype": "publisher", "display": member.id}
        reply = await connection.message(handle, request, {"type": "offer", "sdp": offer["sdp"]})
        await self._load.ask("answer", id=client, sdp=reply["jsep"]["sdp"])
        return client

    async def _subscribe(self, room: int, member: Member) -> str:
        connection = await self._connect(member.id)
        handle = await connection.attach()
        feeds = await self._feeds(connection, handle, room, member)
        request = {
            "request": "join",
            "room": room,
            "ptype": "subscriber",
            "streams": [{"feed": feed} for feed in feeds],
        }
        offer = await connection.message(handle, request)
        client = f"{member.id}-receiver"
        answer = await self._load.ask("accept", id=client, sdp=offer["jsep"]["sdp"], feedback=member.feedback)
        await connection.message(handle, {"request": "start"}, {"type": "answer", "sdp": answer["sdp"]})
        return client

    async def _feeds(self, connection: "JanusConnection", handle: int, room: int, member: Member) -> Sequence[int]:
        wanted = max((member.receives or {}).values())
        for _ in range(int(_REPLY_SECONDS / _POLL_SECONDS)):
            listed = await connection.message(handle, {"request": "listparticipants", "room": room})
            feeds = other_feeds(listed, member.id)
            if len(feeds) >= wanted:
                return feeds
            # Publishers are listed once they are connected.
            await asyncio.sleep(_POLL_SECONDS)
        message = f"Janus lists {len(feeds)} of {wanted} publishers."
        raise CommandError(message)


class JanusConnection:
    """One session on one WebSocket, as each browser has it."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._session = 0
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[Mapping[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, url: str) -> "JanusConnection":
        """Connects and creates the session."""
        socket = await connect(url, subprotocols=[Subprotocol("janus-protocol")], compression=None)
        connection = cls(socket)
        connection._session = (await connection._ask({"janus": "create"}))["data"]["id"]
        return connection

    async def attach(self) -> int:
        """Attaches a handle of the plugin VideoRoom."""
        handle: int = (await self._ask({"janus": "attach", "plugin": "janus.plugin.videoroom"}))["data"]["id"]
        return handle

    async def message(
        self, handle: int, body: Mapping[str, Any], jsep: Mapping[str, str] | None = None
    ) -> Mapping[str, Any]:
        """Sends a message to the plugin; returns its event, or its reply to a synchronous request."""
        message = {"janus": "message", "handle_id": handle, "body": body, **({"jsep": jsep} if jsep else {})}
        reply = await self._ask(message)
        problem = reply.get("plugindata", {}).get("data", {}).get("error")
        if problem:
            error = f"Janus refuses {body['request']}: {problem}"
            raise CommandError(error)
        return reply

    async def close(self) -> None:
        """Ends the session with its connection."""
        await self._socket.close()
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading

    async def _ask(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        transaction = str(next(self._numbers))
        session = {"session_id": self._session} if self._session else {}
        future: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[transaction] = future
        await self._socket.send(json.dumps({**message, **session, "transaction": transaction}))
        return await asyncio.wait_for(future, _REPLY_SECONDS)

    async def _read(self) -> None:
        async for text in self._socket:
            message = json.loads(text)
            if is_final(message):
                future = self._waiting.pop(message["transaction"], None)
                if future and not future.done():
                    future.set_result(message)


def is_final(message: Mapping[str, Any]) -> bool:
    """Whether a message ends its transaction: an `ack` only says that the plugin will answer."""
    return "transaction" in message and message.get("janus") != "ack"


def create_room(room: int) -> Mapping[str, Any]:
    """The request that makes a room for Opus and VP8, without a limit of its own on bit rates."""
    codecs = {"audiocodec": "opus", "videocodec": "vp8"}
    return {"request": "create", "room": room, "publishers": _MAX_PUBLISHERS, **codecs}


def other_feeds(listed: Mapping[str, Any], display: str) -> Sequence[int]:
    """The publishers of a reply to `listparticipants`, without the one of this name."""
    participants = listed["plugindata"]["data"]["participants"]
    return [each["id"] for each in participants if each.get("publisher") and each.get("display") != display]


def read_version(printed: str) -> str:
    """The version in what `janus --version` prints."""
    inside = printed.partition("(")[2].partition(")")[0]
    return inside or "unknown"
