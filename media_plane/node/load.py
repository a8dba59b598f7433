"""How loaded the node is: for the control plane's reports and for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import psutil
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from media_plane.node.engine_port import EnginePort
from media_plane.node.rooms import Rooms
from parley.node.v1 import node_service_pb2

_DROPPED: Final = "dropped_"
_MOST_ROOMS: Final = 100_000
_NANOSECONDS: Final = 1_000_000_000


class Load:
    """Reads the counters of engine and process."""

    def __init__(self, engine: EnginePort, rooms: Rooms) -> None:
        self._engine = engine
        self._rooms = rooms
        self._process = psutil.Process()

    def leases(self) -> list[node_service_pb2.RoomLease]:
        """The rooms that the node holds, with their epochs."""
        rooms = list(self._rooms)[:_MOST_ROOMS]
        return [
            node_service_pb2.RoomLease(room=room.name, epoch=room.epoch, session_count=len(room.sessions))
            for room in rooms
        ]

    def report(self) -> node_service_pb2.LoadReport:
        """Counters since the start and gauges of now."""
        counters = self._engine.counters()
        report = node_service_pb2.LoadReport(
            packets_received=counters["packets_received"],
            bytes_received=counters["bytes_received"],
            packets_sent=counters["packets_sent"],
            bytes_sent=counters["bytes_sent"],
            packets_lost=counters["packets_lost"],
            datagrams_dropped=sum(value for key, value in counters.items() if key.startswith(_DROPPED)),
            sessions_opened=counters["sessions_opened"],
            sessions_closed=counters["sessions_closed"],
            resident_memory_bytes=self._process.memory_info().rss,
            rooms=self.leases(),
            shard_count=len(self._engine.ports),
            serving_shard_count=self._engine.serving_shards,
            shard_failures=counters["shard_panics"] + counters["shard_stalls"],
        )
        report.cpu_time.FromNanoseconds(time.process_time_ns())
        return report


class LoadCollector(Collector):
    """The node's metrics, read when Prometheus asks."""

    def __init__(self, engine: EnginePort, rooms: Rooms) -> None:
        self._engine = engine
        self._rooms = rooms

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of now."""
        counters = self._engine.counters()
        yield GaugeMetricFamily("parley_node_rooms", "Rooms on the node.", value=len(self._rooms))
        yield GaugeMetricFamily("parley_node_sessions", "Sessions on the node.", value=self._rooms.session_count)
        yield from _traffic(counters)
        drops = CounterMetricFamily("parley_node_datagrams_dropped", "Datagrams refused, by kind.", labels=["kind"])
        for key in sorted(counters):
            if key.startswith(_DROPPED):
                drops.add_metric([key.removeprefix(_DROPPED)], counters[key])
        yield drops
        yield from _channels(counters)
        yield from _shards(self._engine, counters)
        yield from _cpu(counters)

    def describe(self) -> Iterable[Metric]:
        """Nothing is promised before the first collection."""
        return ()


def _traffic(counters: Mapping[str, int]) -> Iterator[Metric]:
    for unit, text in (("packets", "RTP packets"), ("bytes", "Bytes of datagrams")):
        family = CounterMetricFamily(f"parley_node_{unit}", f"{text}, by direction.", labels=["direction"])
        family.add_metric(["in"], counters[f"{unit}_received"])
        family.add_metric(["out"], counters[f"{unit}_sent"])
        yield family
    plain = {
        "packets_lost": "RTP packets missing from senders after all retries.",
        "packets_recovered": "RTP packets that came after a retry.",
        "send_runs": "Runs of datagrams of equal size to one address, which the kernel or the network card cuts up.",
        "nacks_received": "Packets that receivers asked for again.",
        "nacks_sent": "Packets that the node asked senders for again.",
        "key_frame_requests_received": "Key frames that receivers asked for.",
        "key_frame_requests_sent": "Key frames that the node asked senders for.",
        "sessions_opened": "Sessions opened.",
        "sessions_closed": "Sessions closed.",
    }
    for key, text in plain.items():
        yield CounterMetricFamily(f"parley_node_{key}", text, value=counters[key])


def _channels(counters: Mapping[str, int]) -> Iterator[Metric]:
    messages = CounterMetricFamily(
        "parley_node_channel_messages", "Messages on data channels, by direction.", labels=["direction"]
    )
    messages.add_metric(["in"], counters["channel_messages_received"])
    messages.add_metric(["out"], counters["channel_messages_sent"])
    yield messages
    dropped = CounterMetricFamily(
        "parley_node_channel_messages_dropped", "Messages on data channels not passed on, by kind.", labels=["kind"]
    )
    for kind in ("rate", "room", "slow", "malformed"):
        dropped.add_metric([kind], counters[f"channel_messages_dropped_{kind}"])
    yield dropped
    plain = {
        "channels_opened": "Data channels opened.",
        "channels_refused": "Data channels refused: of no label that there is, or otherwise than their label wants.",
        "channels_closed_slow": "Reliable data channels closed because their receiver fell behind.",
        "channel_associations_lost": "SCTP associations that failed before their session ended.",
    }
    for key, text in plain.items():
        yield CounterMetricFamily(f"parley_node_{key}", text, value=counters[key])


def _shards(engine: EnginePort, counters: Mapping[str, int]) -> Iterator[Metric]:
    yield GaugeMetricFamily("parley_node_shards", "Shards of the node.", value=len(engine.ports))
    yield GaugeMetricFamily(
        "parley_node_serving_shards", "Shards that serve; the others have failed.", value=engine.serving_shards
    )
    text = "Threads that hang and were replaced; only a restart of the node ends them."
    yield GaugeMetricFamily("parley_node_abandoned_threads", text, value=engine.abandoned_threads)
    failures = CounterMetricFamily("parley_node_shard_failures", "Shards that failed, by cause.", labels=["cause"])
    failures.add_metric(["panicked"], counters["shard_panics"])
    failures.add_metric(["stalled"], counters["shard_stalls"])
    yield failures


def _cpu(counters: Mapping[str, int]) -> Iterator[Metric]:
    seconds = counters["cpu_nanoseconds"] / _NANOSECONDS
    yield CounterMetricFamily(
        "parley_node_engine_cpu_seconds", "CPU time of the shards, user and system.", value=seconds
    )
    yield CounterMetricFamily("parley_node_cpu_seconds", "CPU time of the whole process.", value=time.process_time())
    sent = counters["packets_sent"]
    text = "CPU time of the whole process divided by the packets forwarded, since start; 0 before the first."
    per_packet = time.process_time() / sent if sent else 0.0
    yield GaugeMetricFamily("parley_node_cpu_seconds_per_forwarded_packet", text, value=per_packet)
