"""How fast a larger picture comes, in real Chromium: `python -m benchmarks.layers [--rounds 10]`.

Somebody sees another as a thumbnail, until the other's browser has ceased to encode the large picture, and then
presses "Speaker layout". Times are from that click: until the sender's own statistics count a frame of the large
picture, and until the viewer's video element has its size. Prints one JSON line a round and the whole as JSON at the
end.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from playwright.async_api import ViewportSize

from benchmarks.call import open_call
from parley_cli.bench.conditions import conditions
from parley_cli.bench.statistics import summary_ms
from tests.support.browser import Person
from tests.support.waiting import until

_CAMERA: Final = (960, 540)
"""The smallest of which Chromium sends three encodings."""
_PHONE: Final[ViewportSize] = {"width": 300, "height": 420}
_DESKTOP: Final[ViewportSize] = {"width": 760, "height": 620}
"""Two tiles beside each other need the middle encoding, one alone the largest."""
_WARM_SECONDS: Final = 60.0
"""Until the sender's own estimate of its network allows all encodings."""
_SETTLE_SECONDS: Final = 3.0
_WITHIN_SECONDS: Final = 10.0

_WATCH_HEIGHT: Final = """(wanted) => {
  const seen = (window.parleySwitch = { clicked: 0, shown: 0 });
  addEventListener('click', () => { seen.clicked = performance.timeOrigin + performance.now(); },
    { capture: true, once: true });
  const look = () => {
    if (seen.clicked && parleyTest.height() === wanted) seen.shown = performance.timeOrigin + performance.now();
    else requestAnimationFrame(look);
  };
  look();
}"""
_WATCH_FRAMES: Final = """async () => {
  const frames = async () => (await parleyTest.encoded()).f ?? 0;
  const before = await frames();
  window.parleyEncoded = 0;
  const timer = setInterval(async () => {
    if (!window.parleyEncoded && (await frames()) > before) {
      window.parleyEncoded = performance.timeOrigin + performance.now();
      clearInterval(timer);
    }
  }, 20);
}"""


async def measure(viewer: Person, sender: Person) -> Mapping[str, float]:
    """One step down, and one up."""
    await viewer.press("Gallery layout")
    await viewer.page.set_viewport_size(_PHONE)
    await until(lambda: _rests(sender), bool, within=_WARM_SECONDS, what="the large picture is no longer encoded")
    await viewer.page.set_viewport_size(_DESKTOP)
    await asyncio.sleep(_SETTLE_SECONDS)
    if not await _rests(sender):
        message = "The gallery shows the large picture already: the window is too large for a thumbnail."
        raise RuntimeError(message)
    await viewer.page.evaluate(_WATCH_HEIGHT, _CAMERA[1])
    await sender.page.evaluate(_WATCH_FRAMES)
    await viewer.press("Speaker layout")
    seen = await until(
        lambda: viewer.page.evaluate("parleySwitch"),
        lambda seen: seen["shown"] > 0,
        within=_WITHIN_SECONDS,
        what="the large picture",
    )
    encoded = await until(
        lambda: sender.page.evaluate("parleyEncoded"), bool, within=_WITHIN_SECONDS, what="frames of the large picture"
    )
    return {"encoded_ms": round(encoded - seen["clicked"], 1), "shown_ms": round(seen["shown"] - seen["clicked"], 1)}


async def _rests(person: Person) -> bool:
    """Whether no large picture is encoded for a second."""
    return "f" not in await person.encoding()


async def main(rounds: int) -> None:
    """Measures rounds of one call."""
    before = conditions()
    results: list[Mapping[str, Any]] = []
    async with open_call(_CAMERA) as call:
        (sender,) = call.near
        await call.far.press("Speaker layout")
        await until(
            call.far.height,
            lambda height: height == _CAMERA[1],
            within=_WARM_SECONDS,
            what="a large picture at first",
        )
        for _ in range(rounds):
            results.append(await measure(call.far, sender))
            print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    summary = {key: summary_ms([one[key] / 1000 for one in results]) for key in results[0]}
    print(json.dumps({"bench": "layers", "summary": summary, "rounds": results, "conditions": before}, indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    asyncio.run(main(parser.parse_args().rounds))
