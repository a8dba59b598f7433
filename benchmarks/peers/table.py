"""The figures as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.tables import table

_UNKNOWN = "-"

Results = Mapping[str, Mapping[str, Any]]
"""Figures by case and by server."""


def markdown(results: Results, peers: Sequence[str]) -> str:
    """One table: a row for each figure, a column for each server; what was not measured is a dash."""
    rows = [
        *_rates(results, peers),
        (
            "memory a session, KiB (one sender, 200 receivers)",
            [_number(results, "video", peer, "memory", "kib_a_session") for peer in peers],
        ),
        *(
            (f"added latency at low load, {name}, ms", [_milli(results, "latency", peer, name) for peer in peers])
            for name in ("p50", "p99")
        ),
        *(
            (f"{label}, {name}, ms", [_number(results, "join", peer, key, f"{name}_ms") for peer in peers])
            for key, label in (("first_packet", "click to first packet"), ("first_picture", "click to first key frame"))
            for name in ("p50", "p90")
        ),
    ]
    known = [row for row in rows if set(row[1]) != {_UNKNOWN}]
    return table(["", *peers], ([name, *cells] for name, cells in known))


_RATES = {
    "1 to 200, video in bursts, receivers answer": ("video", "answering, burst"),
    "the same, segmentation offloaded": ("video", "answering, burst, offloaded"),
    "1 to 200, video evenly spaced, receivers answer": ("video", "answering, even"),
    "1 to 200, video in bursts, receivers stopped": ("stopped", "burst"),
    "1 to 200, video evenly spaced, receivers stopped": ("stopped", "even"),
    "1 to 200, audio, receivers answer": ("audio", "answering, burst"),
    "50 rooms of 4, video in bursts, receivers answer": ("rooms", "answering, burst"),
    "the same in rooms of 4, segmentation offloaded": ("rooms", "answering, burst, offloaded"),
}


def _rates(results: Results, peers: Sequence[str]) -> list[tuple[str, list[str]]]:
    return [
        (f"packets out a CPU-second: {label}", [_rate(_find(results, case, peer, figure)) for peer in peers])
        for label, (case, figure) in _RATES.items()
    ]


def _rate(figures: Any) -> str:  # noqa: ANN401 - JSON
    if not figures:
        return _UNKNOWN
    delivered = figures["delivered"]
    note = "" if delivered >= COMPLETE else f" ({100 * delivered:.1f} % delivered)"
    return f"{figures['packets_out_per_cpu_second']:,}{note}"


COMPLETE = 0.995
"""Share of the packets that must arrive for a server to count as forwarding everything."""


def incomplete(figures: Mapping[str, Any]) -> bool:
    """Whether a server did not forward everything in a case."""
    return any(
        each["delivered"] < COMPLETE for each in figures.values() if isinstance(each, Mapping) and "delivered" in each
    )


def _number(results: Results, *path: str) -> str:
    value = _find(results, *path)
    return _UNKNOWN if value is None else f"{value:,.1f}"


def _milli(results: Results, *path: str) -> str:
    value = _find(results, *path)
    return _UNKNOWN if value is None else f"{value / 1000:.2f}"


def _find(results: Results, *path: str) -> Any:  # noqa: ANN401 - JSON
    value: Any = results
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value
