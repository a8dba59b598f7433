"""`parley bench forwarding`: how many packets a media node sends for a second of its processor time."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from parley_cli.bench.conditions import HostMeter, conditions
from parley_cli.bench.fleet import Fleet, Member, Sample, open_fleet
from parley_cli.bench.load import measure_floor

_WARM_UP_SECONDS = 1.5
_SETTLE_SECONDS = 0.5
_AUDIO_FRAMES_PER_SECOND = 50.0
_VOICES = 3
"""Others that a participant hears at once."""


@dataclass(frozen=True)
class ForwardingLoad:
    """Who is there, and what is sent.

    Attributes:
        rooms: Rooms, all alike.
        publishers: People of a room who send; each also receives all others of them.
        subscribers: People of a room who only receive.
        kinds: What each publisher sends. With both, the sound keeps its usual 50 packets a second.
        frames_per_second: Of each publisher.
        packets_per_frame: RTP packets of each frame of video; sound has one.
        packet_bytes: Payload of each packet.
        pacing: Whether a frame's packets leave together, as encoders give them, or spread over the frame's time, as
            browsers send large ones.
        answering: Whether receivers read and report; otherwise they stop once the media flows, as suspended devices do.
        probes: How many of the receivers go on although the others have stopped, to measure latency.
        shards: Threads of the node that forward.
        seconds: How long to measure.
    """

    rooms: int = 1
    publishers: int = 1
    subscribers: int = 200
    kinds: tuple[Literal["video", "audio"], ...] = ("video",)
    frames_per_second: float = 30
    packets_per_frame: int = 6
    packet_bytes: int = 1_150
    pacing: Literal["burst", "even"] = "burst"
    answering: bool = True
    probes: int = 0
    shards: int = 1
    seconds: float = 10.0

    @property
    def receivers(self) -> int:
        """Receivers of each publisher."""
        return self.publishers - 1 + self.subscribers

    @property
    def packets_out_per_second(self) -> float:
        """What the node shall send."""
        video = self.frames_per_second * self.packets_per_frame * self.receivers if "video" in self.kinds else 0.0
        sound = self.frames_per_second if len(self.kinds) == 1 else _AUDIO_FRAMES_PER_SECOND
        heard = sound * min(self.receivers * self.publishers, self._listeners * _VOICES) if "audio" in self.kinds else 0
        return self.rooms * (self.publishers * video + heard)

    @property
    def _listeners(self) -> int:
        return self.publishers + self.subscribers

    def members(self) -> list[Member]:
        """Everybody, room by room, publishers first."""
        stopping = {member.client for member in self.stopped()}
        return [replace(member, feedback=member.client not in stopping) for member in self._all()]

    def _all(self) -> list[Member]:
        video, audio = ("video" in self.kinds), ("audio" in self.kinds)
        everybody = []
        for room in range(self.rooms):
            for place in range(self.publishers + self.subscribers):
                publishes = place < self.publishers
                seen = self.publishers - 1 if publishes else self.publishers
                everybody.append(
                    Member(
                        client=f"{'publisher' if publishes else 'subscriber'}-{room}-{place}",
                        room=room,
                        sends=self.kinds if publishes else (),
                        video_slots=seen * video,
                        audio_slots=min(seen, _VOICES) * audio,
                    )
                )
        return everybody

    def stopped(self) -> list[Member]:
        """Those who stop reading: all, but for the probes, which are spread over rooms and the order of joining."""
        if self.answering:
            return []
        receivers = [member for member in self._all() if member.video_slots + member.audio_slots > 0]
        if not self.probes:
            return receivers
        step = max(1, len(receivers) // self.probes)
        return [member for place, member in enumerate(receivers) if place % step != step // 2]


async def bench_forwarding(load: ForwardingLoad) -> Mapping[str, Any]:
    """Packets out per CPU-second of the node, beside the machine's own floor."""
    before = conditions()
    figures = await measure(load)
    segments = load.packets_per_frame if load.kinds == ("video",) else 1
    floor = await measure_floor(receivers=load.receivers, segments=segments, packet_bytes=load.packet_bytes)
    return {
        "bench": "forwarding",
        **figures,
        "share_of_floor": share_of_floor(figures, floor),
        "floor": floor,
        "conditions": before,
    }


def share_of_floor(figures: Mapping[str, Any], floor: Sequence[Mapping[str, Any]]) -> float | None:
    """What the node reaches of the barest loop that sends the same sealed packets to receivers of the same kind."""
    same = [
        row["packets_per_cpu_second"]
        for row in floor
        if row["sending"] == "udp_segment_offloaded" and f"SRTP_{row['srtp_profile']}" in figures["srtp_profiles"]
    ]
    reached = figures["packets_out_per_cpu_second"]
    return round(reached / same[0], 2) if same and reached else None


async def measure(load: ForwardingLoad) -> Mapping[str, Any]:
    """Runs one load against a node of its own."""
    async with open_fleet(rooms=load.rooms, shards=load.shards) as fleet:
        members = load.members()
        await fleet.join(members)
        await _publish(fleet, load, members)
        stopped = [member.client for member in load.stopped()]
        for client in stopped:
            await fleet.clients.ask("stop", id=client)
        await asyncio.sleep(_WARM_UP_SECONDS)
        before = await fleet.clients.ask("stats")
        # To tell of many takes the load client milliseconds, in which frames wait: its delay, not the node's.
        await fleet.clients.ask("reset_latency")
        await asyncio.sleep(_SETTLE_SECONDS)
        for member in members:
            if member.client not in stopped:
                await fleet.clients.ask("reset_latency", id=member.client)
        host = HostMeter()
        first = await fleet.sample()
        await asyncio.sleep(load.seconds)
        last = await fleet.sample()
        stolen = host.stolen_percent()
        received = await fleet.clients.ask("stats")
        profiles = await fleet.profiles()
    reads = load.answering or load.probes > 0
    return {
        **_figures(first, last),
        "stolen_percent": stolen,
        "load_client_cpu_seconds": round(received["cpu_seconds"] - before["cpu_seconds"], 2),
        "srtp_profiles": profiles,
        "video_latency_us": received["totals"]["video_latency_us"] if reads else None,
        "audio_latency_us": received["totals"]["audio_latency_us"] if reads else None,
        "packets_lost": received["totals"]["lost"] - before["totals"]["lost"] if load.answering else None,
        "load": {**asdict(load), "packets_out_per_second": round(load.packets_out_per_second)},
    }


async def _publish(fleet: Fleet, load: ForwardingLoad, members: Sequence[Member]) -> None:
    """Begins at the usual rate, so that everybody gets a key frame, and then goes to the load's rate."""
    for frames_per_second in (min(load.frames_per_second, 10.0), load.frames_per_second):
        for member in members:
            for kind in member.sends:
                alone = len(load.kinds) == 1
                audio = {} if alone else {"frames_per_second": _AUDIO_FRAMES_PER_SECOND, "packet_bytes": 100}
                video = {"frames_per_second": frames_per_second, "packet_bytes": load.packet_bytes}
                rate = audio if kind == "audio" and not alone else video
                await fleet.clients.ask(
                    "publish",
                    id=member.client,
                    kind=kind,
                    packets_per_frame=load.packets_per_frame,
                    pacing=load.pacing,
                    **rate,
                )
        await asyncio.sleep(_WARM_UP_SECONDS)


def _figures(first: Sample, last: Sample) -> Mapping[str, Any]:
    packets = last.packets_out - first.packets_out
    runs = last.runs_out - first.runs_out
    user, system = last.user - first.user, last.system - first.system
    wall = last.wall - first.wall
    return {
        "datagrams_out": packets,
        "datagrams_in": last.packets_in - first.packets_in,
        "packets_per_run": round(packets / runs, 1) if runs else None,
        "packets_out_per_cpu_second": round(packets / (user + system)) if user + system else None,
        "packets_out_per_engine_cpu_second": round(packets / (last.engine - first.engine)),
        "node_user_seconds": round(user, 2),
        "node_system_seconds": round(system, 2),
        "machine_softirq_seconds": round(last.softirq - first.softirq, 2),
        "wall_seconds": round(wall, 2),
        "packets_out_per_second": round(packets / wall),
        "node_cpu_percent_of_a_core": round(100 * (user + system) / wall, 1),
    }
