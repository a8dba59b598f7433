"""`parley bench forwarding --grid`: forwarding over receivers, frames, rooms and shards."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from parley_cli.bench.conditions import conditions
from parley_cli.bench.forwarding import ForwardingLoad, measure, share_of_floor
from parley_cli.bench.load import measure_floor

_OFFERED = 1_500_000.0
"""Packets a second offered to receivers that are stopped: more than a core forwards, so that it is busy."""
_ANSWERED = 100_000.0
"""The same where the load client reads everything, which costs it several times what it costs the node."""
_MAX_FRAMES_PER_SECOND = 2_000.0
_PEOPLE_FRAMES = 120_000.0
"""Packets a second that the load client can send, where everybody sends."""
_AUDIO_BYTES = 100
_BASE = ForwardingLoad(answering=False)


async def bench_grid(seconds: float) -> Mapping[str, Any]:
    """Measures cell after cell, one dimension varied at a time; each cell has a node of its own.

    The SRTP profile is what the peers agree on, AEAD_AES_256_GCM; rows of the floor give the others.
    """
    before = conditions()
    floors: dict[tuple[int, int, int], Any] = {}
    cells = []
    for name, load in _loads():
        shape = (min(load.receivers, 200), load.packets_per_frame if "video" in load.kinds else 1, load.packet_bytes)
        if shape not in floors:
            floors[shape] = await measure_floor(receivers=shape[0], segments=shape[1], packet_bytes=shape[2])
        figures = await measure(replace(load, seconds=seconds))
        cells.append({"cell": name, **figures, "share_of_floor": share_of_floor(figures, floors[shape])})
    return {
        "bench": "forwarding grid",
        "cells": cells,
        "floors": [
            {"receivers": receivers, "packets_per_frame": packets, "packet_bytes": size, "rows": rows}
            for (receivers, packets, size), rows in floors.items()
        ],
        "conditions": before,
    }


def _loads() -> Iterator[tuple[str, ForwardingLoad]]:
    for receivers in (1, 10, 100, 200, 500):
        yield f"receivers {receivers}", offering(replace(_BASE, subscribers=receivers), _OFFERED)
    for packets in (3, 12):
        yield f"packets a frame {packets}", offering(replace(_BASE, packets_per_frame=packets), _OFFERED)
    audio = replace(_BASE, kinds=("audio",), packets_per_frame=1, packet_bytes=_AUDIO_BYTES)
    yield "audio, 100 bytes", offering(audio, _OFFERED / 2)
    yield "rooms 20x10", offering(_people(20, 10), _OFFERED)
    yield "rooms 100x4", offering(_people(100, 4), _OFFERED)
    yield "rooms 60x10, two cameras and voices", offering(stages(), _OFFERED)
    yield "rooms 20x10, two shards", offering(replace(_people(20, 10), shards=2), _OFFERED)
    yield "answering, 30 frames a second", replace(_BASE, answering=True)
    yield "answering", offering(replace(_BASE, answering=True), _ANSWERED)


def _people(rooms: int, people: int) -> ForwardingLoad:
    return replace(_BASE, rooms=rooms, publishers=people, subscribers=0)


def stages() -> ForwardingLoad:
    """Rooms in which two of ten people have their cameras and microphones on."""
    return replace(_BASE, rooms=60, publishers=2, subscribers=8, kinds=("video", "audio"))


def offering(load: ForwardingLoad, packets_per_second: float) -> ForwardingLoad:
    """The load at the frame rate that offers so many packets, or the highest that the load client can send."""
    sound = replace(load, frames_per_second=0.0).packets_out_per_second
    each = replace(load, frames_per_second=1.0).packets_out_per_second - sound
    incoming = load.rooms * load.publishers * load.packets_per_frame
    rate = min((packets_per_second - sound) / each, _MAX_FRAMES_PER_SECOND, _PEOPLE_FRAMES / incoming)
    return replace(load, frames_per_second=max(rate, 1.0))
