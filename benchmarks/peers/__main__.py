"""Parley, Janus and LiveKit on this machine, driven by one load client: `python -m benchmarks.peers`.

All of them get the same packets, pacing, rate, receivers and SRTP profile, one after the other within each case, in
network namespaces of their own. Prints a Markdown table and writes all figures as JSON.
"""

import argparse
import asyncio
import datetime as dt
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from benchmarks.peers.cases import AUDIO, VIDEO, Bench, Rooms
from benchmarks.peers.janus import Janus
from benchmarks.peers.livekit import LiveKit
from benchmarks.peers.network import Network, connected_namespaces, enter_namespace
from benchmarks.peers.parley import Parley
from benchmarks.peers.peer import Peer
from benchmarks.peers.table import incomplete, markdown
from parley_cli.bench.conditions import conditions
from parley_cli.errors import CommandError

_SECONDS: Final = 10.0
_JOINS: Final = 30
_CASE_SECONDS: Final = 180.0
"""A server that takes longer for a case counts as not able to."""
_RESULTS: Final = Path(__file__).parent.parent / "results"
_VIDEO_ROOMS: Final = Rooms(1, 1, 200, VIDEO)
_AUDIO_ROOMS: Final = Rooms(1, 1, 200, AUDIO)
# Each member of a small room sends, at a third of the rate: as many packets go out as in the large room.
_SMALL_ROOMS: Final = Rooms(50, 4, 0, replace(VIDEO, frames_per_second=10.0))
_LOW_LOAD: Final = Rooms(1, 1, 3, VIDEO)
_SLOWER: Final = 0.5
"""What the rate of all is multiplied with when one of them does not forward everything."""
_SLOWEST: Final = 0.5
"""One try more is enough: on a machine that is too slow for that, the shares delivered say so."""

Measure = Callable[[Peer], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True)
class Case:
    """A case, by the rate of its senders.

    Attributes:
        name: In the results.
        rooms: Who meets; None: not a matter of rates.
        measure: Measures one server, given the rooms.
    """

    name: str
    rooms: Rooms | None
    measure: Callable[[Rooms], Measure]


def cases(bench: Bench, joins: int) -> Sequence[Case]:
    """All cases in their order."""
    return [
        Case("video", _VIDEO_ROOMS, lambda rooms: lambda peer: bench.one_to_many(peer, rooms)),
        Case("stopped", _VIDEO_ROOMS, lambda rooms: lambda peer: bench.stopped(peer, rooms)),
        Case("audio", _AUDIO_ROOMS, lambda rooms: lambda peer: bench.one_to_many(peer, rooms)),
        Case("rooms", _SMALL_ROOMS, lambda rooms: lambda peer: bench.many_rooms(peer, rooms)),
        Case("latency", None, lambda _: lambda peer: bench.latency(peer, _LOW_LOAD)),
        Case("join", None, lambda _: lambda peer: bench.joins(peer, joins)),
    ]


async def run_case(case: Case, peers: Sequence[Peer]) -> Mapping[str, Any]:
    """Measures all servers; again at a lower rate while one of them does not forward everything."""
    rooms = case.rooms or _LOW_LOAD
    factor = 1.0
    while True:
        stream = replace(rooms.stream, frames_per_second=rooms.stream.frames_per_second * factor)
        measure = case.measure(replace(rooms, stream=stream))
        figures: dict[str, Any] = {"load": {**asdict(rooms), "stream": asdict(stream)}}
        for peer in peers:
            print(f"{case.name}: {peer.name} …", file=sys.stderr, flush=True)
            figures[peer.name] = await _attempt(measure, peer)
        slow = [peer.name for peer in peers if incomplete(figures[peer.name])]
        if not slow or stream.kind == "audio" or factor * _SLOWER < _SLOWEST:
            return figures
        factor *= _SLOWER
        print(f"{case.name}: {slow} did not forward everything: all again at {factor:g} of the rate", file=sys.stderr)


async def _attempt(measure: Measure, peer: Peer) -> Mapping[str, Any]:
    try:
        return await asyncio.wait_for(measure(peer), _CASE_SECONDS)
    except (CommandError, OSError, TimeoutError) as error:
        # One server that fails does not take the others' figures away.
        return {"error": f"{type(error).__name__}: {error}"}


async def run(network: Network, options: argparse.Namespace) -> Mapping[str, Any]:
    """Measures everything that is wanted and there."""
    everyone: Sequence[Peer] = [Parley(network), Janus(network), LiveKit(network)]
    peers = [peer for peer in everyone if not options.peers or peer.name.lower() in options.peers]
    for peer in peers:
        if peer.missing():
            print(f"{peer.missing()} It is left out.", file=sys.stderr)
    present = [peer for peer in peers if not peer.missing()]
    before = conditions()
    results = {}
    for case in cases(Bench(network, options.seconds), options.joins):
        if not options.cases or case.name in options.cases:
            results[case.name] = await run_case(case, present)
            print(markdown({case.name: results[case.name]}, [peer.name for peer in present]), file=sys.stderr)
    return {
        "bench": "peers",
        "seconds": options.seconds,
        "peers": {peer.name: peer.conditions() for peer in present},
        "results": results,
        "conditions": before,
    }


def main() -> None:
    """Runs the benchmark within namespaces of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="how long each figure is measured")
    parser.add_argument("--joins", type=int, default=_JOINS)
    parser.add_argument("--cases", nargs="*", choices=["video", "stopped", "audio", "rooms", "latency", "join"])
    parser.add_argument("--peers", nargs="*", choices=["parley", "janus", "livekit"])
    parser.add_argument("--output", type=Path, help="default: benchmarks/results/<date>-peers.json")
    options = parser.parse_args()
    try:
        enter_namespace("benchmarks.peers")
        with connected_namespaces() as network:
            figures = asyncio.run(run(network, options))
    except CommandError as error:
        sys.exit(f"parley: {error}")
    output = options.output or _RESULTS / f"{dt.datetime.now(dt.UTC):%Y-%m-%d}-peers.json"
    output.write_text(json.dumps(figures, indent=2) + "\n")
    print(markdown(figures["results"], list(figures["peers"])))
    print(f"\nAll figures and conditions: {output}")


if __name__ == "__main__":
    main()
