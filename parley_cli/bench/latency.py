"""`parley bench latency`: what a node adds to video and sound together, at a share of what a core forwards of them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from parley_cli.bench.conditions import conditions
from parley_cli.bench.forwarding import ForwardingLoad, measure
from parley_cli.bench.grid import offering, stages

_PROBED: Final = 250_000.0
"""Packets a second at which it is found how many a core forwards.

Near the rate that is measured then, since a busier core sends longer runs and forwards more.
"""
_PROBES: Final = 7
"""Receivers who go on: each costs the load client as much as a room that sends, and its own clumps count as latency."""
_PACINGS: Final = ("burst", "even")


async def bench_latency(seconds: float, share: float) -> Mapping[str, Any]:
    """Added latency from socket to socket, seen by a few receivers while the others have stopped.

    The load client has time left then, so that what it measures is not its own delay.

    Args:
        seconds: How long to measure.
        share: Of a core's capacity.
    """
    before = conditions()
    rows = []
    for pacing in _PACINGS:
        load = replace(stages(), seconds=seconds, pacing=pacing)
        capacity = (await measure(offering(load, _PROBED)))["packets_out_per_cpu_second"]
        rows.append({"capacity": capacity, **await measure(_probed(load, share * capacity))})
    return {"bench": "latency", "share": share, "rows": rows, "conditions": before}


def _probed(load: ForwardingLoad, packets_per_second: float) -> ForwardingLoad:
    return offering(replace(load, probes=_PROBES), packets_per_second)
