"""The benchmark of several servers, small and with Parley's own node only: no namespaces, no other servers."""

from collections.abc import Mapping
from typing import Any

from benchmarks.peers.cases import VIDEO, Bench, Rooms
from benchmarks.peers.network import Network
from benchmarks.peers.parley import Parley

NETWORK = Network("127.0.0.1", "127.0.0.1", ())


async def test_answering_receivers_get_everything() -> None:
    figures = await Bench(NETWORK, 1.0).one_to_many(Parley(NETWORK), Rooms(1, 1, 3, VIDEO))
    assert figures["srtp_profiles"] == ["AEAD_AES_256_GCM"]
    assert figures["memory"]["sessions"] == 4
    _check(figures, ("answering, burst", "answering, burst, offloaded", "answering, even"))


async def test_stopped_receivers_are_sent_everything() -> None:
    figures = await Bench(NETWORK, 1.0).stopped(Parley(NETWORK), Rooms(1, 1, 3, VIDEO))
    _check(figures, ("burst", "even"))


def _check(figures: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        # A machine that is busy with other tests may be late, but not by this much.
        assert figures[name]["delivered"] > 0.8, name
        assert figures[name]["packets_out"] > 300, name
        assert figures[name]["connected"] == 4, name


async def test_small_rooms_and_latency() -> None:
    bench = Bench(NETWORK, 1.0)
    figures = await bench.many_rooms(Parley(NETWORK), Rooms(2, 3, 0, VIDEO))
    assert figures["answering, burst"]["packets_out"] > 2 * 3 * 2 * 50
    latency = await bench.latency(Parley(NETWORK), Rooms(1, 1, 2, VIDEO))
    assert latency["count"] > 100
    assert 0 < latency["p50"] <= latency["p99"]
