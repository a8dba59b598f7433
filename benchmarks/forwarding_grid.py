"""Forwarding over a grid of loads, one JSON line each: `python benchmarks/forwarding_grid.py [seconds]`."""

import asyncio
import itertools
import json
import sys

from parley_cli.bench.forwarding import ForwardingLoad, bench_forwarding

_SUBSCRIBERS = (10, 50, 200)
_PACKET_BYTES = (200, 1_150)
_PACKETS_PER_FRAME = (1, 6, 16)


async def main(seconds: float) -> None:
    """Measures every combination in turn."""
    for subscribers, size, packets in itertools.product(_SUBSCRIBERS, _PACKET_BYTES, _PACKETS_PER_FRAME):
        load = ForwardingLoad(subscribers, seconds, packets_per_frame=packets, packet_bytes=size)
        print(json.dumps(await bench_forwarding(load)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0))
