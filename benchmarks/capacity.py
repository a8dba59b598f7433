"""Steps of capacity in real Chromium: `python -m benchmarks.capacity [--rounds 3]`.

Somebody watches two others over a way that carries 3 Mbit/s, then 500 kbit/s, then 3 Mbit/s again, with a queue of
300 ms. Frozen time comes from counters burnt into the pictures, the queue and what passes from the relay that is the
way, concealed sound from Chromium's own statistics. Prints one JSON line a round and the whole as JSON at the end.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.call import Call, open_call
from parley_cli.bench.conditions import HostMeter, conditions
from tests.support.impairment import CLEAR, Impairment, Relay

_CAMERA: Final = (960, 540)
_WIDE: Final = Impairment(bits_per_second=3e6, delay=0.020, queue_seconds=0.3)
_NARROW: Final = Impairment(bits_per_second=5e5, delay=0.020, queue_seconds=0.3)
_WARM_SECONDS: Final = 45.0
"""Until the senders' own estimates allow all encodings, at first."""
_BEFORE_SECONDS: Final = 10.0
_NARROW_SECONDS: Final = 15.0
_WIDE_SECONDS: Final = 20.0
_INTERVAL: Final = 0.1
_LONG_QUEUE: Final = 0.1
_USED_SHARE: Final = 0.8
_AVERAGED: Final = round(1 / _INTERVAL)
"""Intervals of a second, over which what passes is averaged."""


@dataclass(frozen=True)
class Sample:
    """The way in one interval.

    Attributes:
        at: Its end, in seconds.
        queue: The longest wait in it, in seconds.
        bits: What passed.
    """

    at: float
    queue: float
    bits: int


async def _sample(relay: Relay, seconds: float) -> list[Sample]:
    samples = []
    ends = time.monotonic() + seconds
    while (now := time.monotonic()) < ends:
        relay.down.waiting, before = 0.0, relay.down.bytes_passed
        await asyncio.sleep(now + _INTERVAL - time.monotonic())
        samples.append(Sample(time.monotonic(), relay.down.waiting, 8 * (relay.down.bytes_passed - before)))
    return samples


async def measure(call: Call) -> Mapping[str, Any]:
    """One fall and one rise."""
    relay = call.network.newest
    host = HostMeter()
    call.network.impair(up=CLEAR, down=_WIDE)
    before = await _sample(relay, _BEFORE_SECONDS)
    began = [(other, await call.far.watch(other)) for other in call.near]
    heard = await call.far.inbound()
    call.network.impair(down=_NARROW)
    fall = time.monotonic()
    narrow = await _sample(relay, _NARROW_SECONDS)
    steady = [await call.far.steadiness(other, at) for other, at in began]
    heard_then = await call.far.inbound()
    call.network.impair(down=_WIDE)
    rise = time.monotonic()
    wide = await _sample(relay, _WIDE_SECONDS)
    samples, concealed = (heard_then[key] - heard[key] for key in ("samples", "concealed"))
    return {
        "used_before_kbit_per_second": _mean(before[-_AVERAGED:]),
        "longest_freeze_s": round(max(one.longest_freeze for one in steady), 2),
        "frozen_percent": round(100 * max(one.frozen_share for one in steady), 2),
        "unfilmed_percent": round(100 * max(one.unfilmed_share for one in steady), 2),
        "queue_over_100_ms_until_s": round(max((s.at - fall for s in narrow if s.queue > _LONG_QUEUE), default=0), 1),
        "used_while_narrow_kbit_per_second": _mean(narrow[-5 * _AVERAGED :]),
        "concealed_audio_percent": round(100 * concealed / max(1, samples), 2),
        "used_80_percent_after_s": _used_after(wide, rise),
        "used_after_kbit_per_second": _mean(wide[-5 * _AVERAGED :]),
        "stolen_percent": host.stolen_percent(),
    }


def _mean(samples: Sequence[Sample]) -> int:
    return round(sum(sample.bits for sample in samples) / (len(samples) * _INTERVAL) / 1000)


def _used_after(samples: Sequence[Sample], rise: float) -> float | None:
    for end in range(_AVERAGED, len(samples) + 1):
        if _mean(samples[end - _AVERAGED : end]) >= _USED_SHARE * _WIDE.bits_per_second / 1000:
            return round(samples[end - 1].at - rise, 1)
    return None


async def main(rounds: int) -> None:
    """Measures rounds of one call."""
    before = conditions()
    results = []
    async with open_call(_CAMERA, near=2, grain=True, watched=True) as call:
        await asyncio.sleep(_WARM_SECONDS)
        for _ in range(rounds):
            results.append(await measure(call))
            print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    print(json.dumps({"bench": "capacity", "rounds": results, "conditions": before}, indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    asyncio.run(main(parser.parse_args().rounds))
