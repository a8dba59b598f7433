"""What is measured: each function drives one server through one case and returns its figures."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from benchmarks.peers.load import Load, Snapshot, running_load
from benchmarks.peers.meter import Cost, cost, memory
from benchmarks.peers.network import Network
from benchmarks.peers.peer import Entered, Kind, Member, Peer, Server
from parley_cli.bench.statistics import summary_ms

_CONNECT_SECONDS: Final = 60.0
_FIRST_PICTURE_SECONDS: Final = 10.0
_SETTLE_SECONDS: Final = 2.0
"""From a change until it is measured."""
_ENTER_AT_A_TIME: Final = 8
_PAUSE_BETWEEN_JOINS: Final = 1.3
"""Longer than any of the servers holds back requests for key frames: who comes alone does not wait for another's."""
_FRAME_SECONDS: Final = 1 / 30


@dataclass(frozen=True)
class Stream:
    """What each sender sends.

    Attributes:
        kind: Audio has 50 packets a second.
        frames_per_second: Of video.
        packets_per_frame: Of video.
        packet_bytes: Payload of each packet.
        pacing: `burst`: a frame's packets leave together, as encoders give them; `even`: spread over the frame's time.
    """

    kind: Kind
    frames_per_second: float = 30.0
    packets_per_frame: int = 6
    packet_bytes: int = 1_150
    pacing: str = "burst"

    @property
    def operation(self) -> Mapping[str, Any]:
        """The load client's operation `publish`."""
        if self.kind == "audio":
            return {"kind": "audio", "packet_bytes": self.packet_bytes}
        return {
            "kind": "video",
            "frames_per_second": self.frames_per_second,
            "packets_per_frame": self.packets_per_frame,
            "packet_bytes": self.packet_bytes,
            "pacing": self.pacing,
        }


VIDEO: Final = Stream("video")
AUDIO: Final = Stream("audio", packet_bytes=100)


@dataclass(frozen=True)
class Rooms:
    """Who meets.

    Attributes:
        rooms: How many rooms.
        senders: Members of each room that send.
        receivers: Members of each room that only receive.
        stream: What each sender sends.
        feedback: Whether those who only receive agree on transport-cc.
    """

    rooms: int
    senders: int
    receivers: int
    stream: Stream
    feedback: bool = True

    def members(self, room: int) -> Sequence[Member]:
        """The members of one room; senders receive each other when nobody else does."""
        kind = self.stream.kind
        others = self.senders - 1
        receives: Mapping[Kind, int] | None = {kind: others} if others else None
        senders = [Member(f"room{room}-sender{number}", (kind,), receives) for number in range(self.senders)]
        receivers = [
            Member(f"room{room}-receiver{number}", (), {kind: self.senders}, self.feedback)
            for number in range(self.receivers)
        ]
        return [*senders, *receivers]


@dataclass
class Meeting:
    """Rooms full of connected load clients on one server."""

    server: Server
    load: Load
    rooms: Rooms
    senders: list[str] = field(default_factory=list)
    receivers: list[str] = field(default_factory=list)

    async def fill(self) -> None:
        """Lets all members in, senders of a room first, and waits until they are connected."""
        for room in range(1, self.rooms.rooms + 1):
            members = self.rooms.members(room)
            first, rest = members[: self.rooms.senders], members[self.rooms.senders :]
            self._keep(await self.server.enter(room, first))
            for begin in range(0, len(rest), _ENTER_AT_A_TIME):
                group = rest[begin : begin + _ENTER_AT_A_TIME]
                entered = await asyncio.gather(*(self.server.enter(room, [member]) for member in group))
                self._keep([each for one in entered for each in one])
        await self.load.wait_connected(self.senders, _CONNECT_SECONDS)
        await self.offload(on=False)

    async def offload(self, *, on: bool) -> None:
        """Whether the receivers take runs of packets uncut, as if the sender's network card segmented by itself."""
        for receiver in self.receivers:
            await self.load.ask("coalesce", id=receiver, on=on)

    async def send(self, stream: Stream) -> None:
        """Lets all senders send this."""
        for sender in self.senders:
            await self.load.ask("publish", id=sender, **stream.operation)

    async def stop_receivers(self) -> None:
        """Receivers neither read nor answer media from now on."""
        for receiver in self.receivers:
            await self.load.ask("ignore_media", id=receiver)

    def _keep(self, entered: Sequence[Entered]) -> None:
        self.senders.extend(each.sender for each in entered if each.sender)
        self.receivers.extend(each.receiver for each in entered if each.receiver)


@dataclass(frozen=True)
class Bench:
    """What all cases share.

    Attributes:
        network: The namespaces.
        seconds: How long each figure is measured.
    """

    network: Network
    seconds: float

    async def one_to_many(self, peer: Peer, rooms: Rooms) -> Mapping[str, Any]:
        """One sender, many receivers that answer, with each pacing; and memory a session."""
        figures: dict[str, Any] = {}
        async with running_load(self.network) as load, peer.running(load, whole=False) as server:
            before = memory(server.pids)
            meeting = Meeting(server, load, rooms)
            await meeting.fill()
            await meeting.send(rooms.stream)
            await load.wait_receiving(meeting.receivers, _CONNECT_SECONDS)
            after = memory(server.pids)
            sessions = rooms.rooms * (rooms.senders + rooms.receivers)
            figures["memory"] = {
                "before_mib": round(before / 2**20, 1),
                "after_mib": round(after / 2**20, 1),
                "sessions": sessions,
                "kib_a_session": round((after - before) / 1024 / sessions, 1),
            }
            figures["srtp_profiles"] = await _profiles(load)
            figures["answering, burst"] = await self._forwarded(meeting, stopped=False)
            if rooms.stream.kind == "audio":
                return figures
            await meeting.offload(on=True)
            figures["answering, burst, offloaded"] = await self._forwarded(meeting, stopped=False)
            await meeting.offload(on=False)
            await meeting.send(replace(rooms.stream, pacing="even"))
            figures["answering, even"] = await self._forwarded(meeting, stopped=False)
        return figures

    async def stopped(self, peer: Peer, rooms: Rooms) -> Mapping[str, Any]:
        """One sender, many receivers that neither read nor answer, with each pacing.

        They do not agree on transport-cc: a server that is promised feedback and gets none holds back, rightly.
        """
        async with running_load(self.network) as load, peer.running(load, whole=False) as server:
            meeting = Meeting(server, load, replace(rooms, feedback=False))
            await meeting.fill()
            await meeting.send(rooms.stream)
            await load.wait_receiving(meeting.receivers, _CONNECT_SECONDS)
            await meeting.stop_receivers()
            figures = {"burst": await self._forwarded(meeting, stopped=True)}
            await meeting.send(replace(rooms.stream, pacing="even"))
            return {**figures, "even": await self._forwarded(meeting, stopped=True)}

    async def many_rooms(self, peer: Peer, rooms: Rooms) -> Mapping[str, Any]:
        """Many small rooms in which everybody sends and receives."""
        async with running_load(self.network) as load, peer.running(load, whole=False) as server:
            meeting = Meeting(server, load, rooms)
            await meeting.fill()
            await meeting.send(rooms.stream)
            await load.wait_receiving(meeting.receivers, _CONNECT_SECONDS)
            figures = {"answering, burst": await self._forwarded(meeting, stopped=False)}
            await meeting.offload(on=True)
            return {**figures, "answering, burst, offloaded": await self._forwarded(meeting, stopped=False)}

    async def latency(self, peer: Peer, rooms: Rooms) -> Mapping[str, Any]:
        """From the sender's time stamp to the receiver's socket, at low load."""
        async with running_load(self.network) as load, peer.running(load, whole=False) as server:
            meeting = Meeting(server, load, rooms)
            await meeting.fill()
            await meeting.send(rooms.stream)
            await load.wait_receiving(meeting.receivers, _CONNECT_SECONDS)
            await asyncio.sleep(_SETTLE_SECONDS)
            await load.ask("reset_latency")
            await asyncio.sleep(self.seconds)
            return dict((await load.snapshot()).latency_us[rooms.stream.kind])

    async def joins(self, peer: Peer, count: int) -> Mapping[str, Any]:
        """From the click to the first media packet, and to that of a key frame, one joiner after the other."""
        async with running_load(self.network) as load, peer.running(load, whole=True) as server:
            sender = Meeting(server, load, Rooms(1, 1, 0, VIDEO))
            await sender.fill()
            await sender.send(VIDEO)
            packets, pictures = [], []
            for number in range(count):
                # Not always at the same moment of the sender's frames.
                await asyncio.sleep(_PAUSE_BETWEEN_JOINS + _FRAME_SECONDS * number / count)
                first, picture = await _join(server, load, Member(f"joiner{number}", (), {"video": 1}))
                packets.append(first)
                pictures.append(picture)
        return {"joins": count, "first_packet": summary_ms(packets), "first_picture": summary_ms(pictures)}

    async def _forwarded(self, meeting: Meeting, *, stopped: bool) -> Mapping[str, Any]:
        await asyncio.sleep(_SETTLE_SECONDS)
        first = await meeting.load.snapshot()
        begin = cost(meeting.server.pids)
        await asyncio.sleep(self.seconds)
        used = cost(meeting.server.pids) - begin
        return _figures(meeting, first, await meeting.load.snapshot(), used, stopped=stopped)


async def _join(server: Server, load: Load, member: Member) -> tuple[float, float]:
    await server.prepare(1, member)
    clicked = time.time()
    [entered] = await server.enter(1, [member])
    received = await load.wait_first(entered.receiver, _FIRST_PICTURE_SECONDS)
    await server.leave(member.id)
    await load.ask("close", id=entered.receiver)
    return (received.first or 0) - clicked, (received.first_key_frame or 0) - clicked


async def _profiles(load: Load) -> Sequence[str]:
    clients = (await load.snapshot()).clients.values()
    return sorted({client.srtp_profile for client in clients if client.srtp_profile})


def _figures(meeting: Meeting, first: Snapshot, last: Snapshot, used: Cost, *, stopped: bool) -> Mapping[str, Any]:
    def change(ids: Sequence[str], name: str) -> int:
        before, after = (sum(int(getattr(client, name)) for client in each.only(ids)) for each in (first, last))
        return after - before

    sent = change(meeting.senders, "sent")
    arrived = change(meeting.receivers, "dropped" if stopped else "packets")
    rooms = meeting.rooms
    expected = sent * (rooms.receivers or rooms.senders - 1)
    return {
        # A stopped receiver's kernel counts reports and padding too.
        "packets_out": min(arrived, expected) if stopped else arrived,
        "connected": sum(1 for client in last.clients.values() if client.state == "connected"),
        "delivered": round(arrived / expected, 4) if expected else 0.0,
        "packets_out_per_cpu_second": round(min(arrived, expected) / used.cpu) if used.cpu else 0,
        "packets_out_per_second": round(arrived / used.wall),
        "user_seconds": round(used.user, 2),
        "system_seconds": round(used.system, 2),
        "machine_softirq_seconds": round(used.softirq, 2),
        "machine_stolen_seconds": round(used.stolen, 2),
        "wall_seconds": round(used.wall, 2),
        "load_client_cpu_share": round((last.cpu - first.cpu) / used.wall, 2),
        "latency_us": dict(last.latency_us[rooms.stream.kind]) if not stopped else {},
    }
