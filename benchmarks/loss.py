"""Pictures and sound on bad networks, in real Chromium: `python -m benchmarks.loss [--seconds 60] [--cells CELL ...]`.

With `--peer` the same of a call on Janus or LiveKit, whose windows hold a page of ours with one encoding of the camera.

Holds one call of two windows; one of them sits behind a relay that loses and delays. A cell (`5%/20ms/down`) is a
kind of loss, a round-trip time and a direction: `up` is what the window behind the relay sends (the other one watches
it), `down` is what it receives, `both` is both ways. Frozen time comes from a counter burnt into the picture,
and so does how much of it is the camera's own (`unfilmed`, on a busy machine); concealed sound from Chromium's own
statistics, as does, beside the counter's, what it calls frozen. Prints one JSON line a cell and the whole as JSON at
the end.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from benchmarks.call import Call, open_call
from benchmarks.peers import windows
from benchmarks.peers.janus import Janus
from benchmarks.peers.livekit import LiveKit
from benchmarks.peers.network import connected_namespaces, enter_namespace
from benchmarks.peers.peer import Peer
from parley_cli.bench.conditions import HostMeter, conditions
from tests.support.browser import Person
from tests.support.impairment import CLEAR, Impairment

_CAMERA: Final = (640, 360)
_SETTLE_SECONDS: Final = 8.0
"""Time for the call to get used to a network before it is watched."""
_REST_SECONDS: Final = 5.0
_KINDS: Final = {
    "0%": Impairment(),
    "1%": Impairment(loss=0.01),
    "5%": Impairment(loss=0.05),
    "10%": Impairment(loss=0.10),
    "20%": Impairment(loss=0.20),
    "5% in bursts": Impairment(loss=0.05, burst=5),
}
_PEERS: Final = {"janus": Janus, "livekit": LiveKit}
_ROUND_TRIPS: Final = (0.020, 0.150)
_DIRECTIONS: Final = ("up", "down", "both")
_MORE_IS_BETTER: Final = ("frames_per_second", "received_kbit_per_second")
"""Of the two who watch each other, the one who has less is told."""


@dataclass(frozen=True)
class Cell:
    """One condition.

    Attributes:
        loss: A key of the kinds of loss.
        round_trip: Seconds.
        direction: `up`, `down` or `both`.
    """

    loss: str
    round_trip: float
    direction: str

    @property
    def name(self) -> str:
        """As the command line takes it."""
        return f"{self.loss}/{self.round_trip * 1000:.0f}ms/{self.direction}"

    def impairments(self) -> tuple[Impairment, Impairment]:
        """What happens to what the window behind the relay sends and receives."""
        bad = replace(_KINDS[self.loss], delay=self.round_trip / 2)
        good = Impairment(delay=self.round_trip / 2)
        return (good if self.direction == "down" else bad, good if self.direction == "up" else bad)


CELLS: Final = [Cell(loss, rtt, direction) for loss in _KINDS for rtt in _ROUND_TRIPS for direction in _DIRECTIONS]


async def measure(call: Call, cell: Cell, seconds: float) -> Mapping[str, Any]:
    """Puts the call on the cell's network for a while."""
    up, down = cell.impairments()
    call.network.impair(up=up, down=down)
    await asyncio.sleep(_SETTLE_SECONDS)
    (near,) = call.near
    views = [(near, call.far)] if cell.direction == "up" else [(call.far, near)]
    if cell.direction == "both":
        views = [(near, call.far), (call.far, near)]
    host = HostMeter()
    seen = await asyncio.gather(*(_view(viewer, other, seconds) for viewer, other in views))
    stolen = host.stolen_percent()
    call.network.impair(up=CLEAR, down=CLEAR)
    await asyncio.sleep(_REST_SECONDS)
    figures = {key: (min if key in _MORE_IS_BETTER else max)(view[key] for view in seen) for key in seen[0]}
    return {"cell": cell.name, **asdict(cell), **figures, "stolen_percent": stolen}


async def _view(viewer: Person, other: Person, seconds: float) -> Mapping[str, float]:
    before = await viewer.inbound()
    began = await viewer.watch(other)
    await asyncio.sleep(seconds)
    steady = await viewer.steadiness(other, began)
    after = await viewer.inbound()
    change = {key: after[key] - before[key] for key in after}
    return {
        "frozen_percent": round(100 * steady.frozen_share, 2),
        "unfilmed_percent": round(100 * steady.unfilmed_share, 2),
        "browser_frozen_percent": round(100 * change["frozen"] / steady.seconds, 2),
        "longest_freeze_s": round(steady.longest_freeze, 2),
        "freezes": steady.freezes,
        "frames_per_second": round(steady.frames / steady.seconds, 1),
        "concealed_audio_percent": round(100 * change["concealed"] / max(1, change["samples"]), 2),
        "received_kbit_per_second": round(change["bytes"] * 8 / steady.seconds / 1000),
        "nacks": change["nacks"],
    }


async def main(cells: list[Cell], seconds: float, peer: Peer | None) -> None:
    """Starts the product or another server, measures all cells and takes it away again."""
    before = {**conditions(), "peer": {"name": peer.name, **peer.conditions()} if peer else None}
    results = []
    async with windows.open_call(peer, _CAMERA) if peer else open_call(_CAMERA) as call:
        for cell in cells:
            results.append(await measure(call, cell, seconds))
            print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    print(json.dumps({"bench": "loss", "seconds": seconds, "cells": results, "conditions": before}, indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--cells", nargs="*", choices=[cell.name for cell in CELLS], metavar="CELL")
    parser.add_argument("--peer", choices=_PEERS)
    options = parser.parse_args()
    chosen = [cell for cell in CELLS if not options.cells or cell.name in options.cells]
    if not options.peer:
        asyncio.run(main(chosen, options.seconds, None))
    else:
        enter_namespace("benchmarks.loss")
        with connected_namespaces() as network:
            asyncio.run(main(chosen, options.seconds, _PEERS[options.peer](network)))
