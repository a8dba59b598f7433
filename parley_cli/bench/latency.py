"""`parley bench latency`: what a node adds to video and sound together, at a share of what a core forwards of them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from parley_cli.bench.conditions import conditions
from parley_cli.bench.forwarding import measure
from parley_cli.bench.grid import offering, stages

_PROBED: Final = 250_000.0
"""Packets a second at which it is first found how many a core forwards."""
_APPROACHES: Final = 2
"""How often it is found, the next time at the rate that follows: a busier core sends longer runs and forwards more."""
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
        rate = _PROBED
        for _ in range(_APPROACHES):
            rate = share * (await measure(offering(load, rate)))["packets_out_per_cpu_second"]
        rows.append(await measure(offering(replace(load, probes=_PROBES), rate)))
    return {"bench": "latency", "share": share, "rows": rows, "conditions": before}
