"""What is seen when a browser stops an encoding, in real Chromium: `python -m benchmarks.withdrawal [--rounds 5]`.

Somebody sees the larger encoding of another, whose way to the node narrows until their browser stops sending it: the
picture stands still until a smaller one begins. Times are from the last frame of the larger picture to the first of a
smaller one, as the viewer's browser presented them, and the longest gap of the round. Prints one JSON line a round and
the whole as JSON at the end.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

from benchmarks.call import Call, open_call
from parley_cli.bench.conditions import HostMeter, conditions
from parley_cli.bench.statistics import summary_ms
from tests.support.impairment import CLEAR, Impairment
from tests.support.waiting import until

_CAMERA: Final = (640, 360)
"""Chromium sends two encodings of it."""
_NARROW: Final = Impairment(bits_per_second=350_000, queue_seconds=0.2, delay=0.02)
_WARM_SECONDS: Final = 60.0
"""Until the sender's own estimate of its network allows all encodings."""
_NARROW_SECONDS: Final = 12.0

_NOTE_FRAMES: Final = """() => {
  const noted = (window.parleyFrames = []);
  const video = document.querySelector('[data-testid=tile] video[data-slot]');
  const note = (_, { presentationTime, height }) => {
    if (noted !== window.parleyFrames) return;
    noted.push([presentationTime, height]);
    video.requestVideoFrameCallback(note);
  };
  video.requestVideoFrameCallback(note);
}"""


async def measure(call: Call) -> Mapping[str, Any]:
    """One way that narrows, and widens."""
    (viewer,) = call.near
    await _sees_large(call)
    host = HostMeter()
    await viewer.page.evaluate(_NOTE_FRAMES)
    call.network.impair(up=_NARROW)
    await asyncio.sleep(_NARROW_SECONDS)
    frames: list[tuple[float, int]] = await viewer.page.evaluate("parleyFrames")
    call.network.impair(up=CLEAR)
    steps = [later[0] - earlier[0] for earlier, later in pairwise(frames) if later[1] < earlier[1]]
    return {
        "step_down_ms": round(max(steps), 1) if steps else None,
        "longest_gap_ms": round(max(later[0] - earlier[0] for earlier, later in pairwise(frames)), 1),
        "stolen_percent": host.stolen_percent(),
    }


async def _sees_large(call: Call) -> None:
    (viewer,) = call.near
    await until(viewer.height, lambda height: height == _CAMERA[1], within=_WARM_SECONDS, what="the large picture")


async def main(rounds: int) -> None:
    """Measures rounds of one call."""
    before = conditions()
    results: list[Mapping[str, Any]] = []
    async with open_call(_CAMERA) as call:
        for _ in range(rounds):
            results.append(await measure(call))
            print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    steps = [one["step_down_ms"] / 1000 for one in results if one["step_down_ms"] is not None]
    summary = {"step_down_ms": summary_ms(steps)}
    print(json.dumps({"bench": "withdrawal", "summary": summary, "rounds": results, "conditions": before}, indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    asyncio.run(main(parser.parse_args().rounds))
