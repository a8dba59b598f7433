"""The figures of a results file as Markdown: `python -m benchmarks.tables benchmarks/results/FILE.json ...`."""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

_NO_FIGURE = "-"
_DIRECTIONS = ("up", "down", "both")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    first, *others = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return "\n".join([first, "|---" * len(head) + "|", *others])


def forwarding_grid(results: Mapping[str, Any]) -> str:
    """Packets per CPU-second of each cell beside its floor."""
    head = ["", "offered per second", "packets out per CPU-second", "share of the floor", "packets per run", "busy"]
    rows = [
        [
            cell["cell"],
            f"{cell['load']['packets_out_per_second']:,}",
            f"{cell['packets_out_per_cpu_second']:,}",
            f"{100 * cell['share_of_floor']:.0f} %" if cell["share_of_floor"] else _NO_FIGURE,
            f"{cell['packets_per_run']:.1f}" if cell.get("packets_per_run") else _NO_FIGURE,
            f"{cell['node_cpu_percent_of_a_core']:.0f} %",
        ]
        for cell in results["cells"]
    ]
    return table(head, rows)


def latency(results: Mapping[str, Any]) -> str:
    """Added latency under load, by pacing and kind of media."""
    head = ["", "packets per second", "busy", "added latency, ms: p50", "p95", "p99"]
    rows = [
        [
            f"{row['load']['pacing']}, {kind}",
            f"{row['packets_out_per_second']:,}",
            f"{row['node_cpu_percent_of_a_core']:.0f} %",
            *(f"{row[f'{kind}_latency_us'][name] / 1000:.2f}" for name in ("p50", "p95", "p99")),
        ]
        for row in results["rows"]
        for kind in ("video", "audio")
    ]
    return table(head, rows)


def loss(results: Mapping[str, Any]) -> str:
    """Frozen time and concealed sound of each network, by direction."""
    cells = {(cell["loss"], cell["round_trip"], cell["direction"]): cell for cell in results["cells"]}
    networks = list(dict.fromkeys((loss, round_trip) for loss, round_trip, _ in cells))
    head = ["loss, RTT", *(f"{way}: frozen, concealed" for way in _DIRECTIONS)]
    rows = [
        [f"{loss}, {1000 * round_trip:.0f} ms", *(_harm(cells.get((loss, round_trip, way))) for way in _DIRECTIONS)]
        for loss, round_trip in networks
    ]
    return table(head, rows)


def _harm(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return _NO_FIGURE
    return f"{cell['frozen_percent']:.1f} %, {cell['concealed_audio_percent']:.1f} %"


def capacity(results: Mapping[str, Any]) -> str:
    """One column a round."""
    rounds = results["rounds"]
    rows = [[name.replace("_", " "), *(str(one[name]) for one in rounds)] for name in rounds[0]]
    return table(["", *(f"round {number}" for number in range(1, len(rounds) + 1))], rows)


def times(results: Mapping[str, Any]) -> str:
    """Percentiles of each time that was measured, in the results' own names."""
    summary = results["summary"]
    names = list(next(iter(summary.values())))
    return table(["", *names], ([name, *(str(row[key]) for key in names)] for name, row in summary.items()))


def crowd(results: Mapping[str, Any]) -> str:
    """A row a meeting: of one run, or of all `runs` by name."""
    head = ["", "joined", "joins per second", "join p50, p99", "event delivery p50, p99", "delivered within 1 s"]
    head += ["control-plane CPU per join", "sent per watcher", "control-plane CPU at rest", "complete logs"]
    runs = results.get("runs", {"": [results]})
    return table(head, [_meeting(name, run) for name, each in runs.items() for run in each])


def _meeting(name: str, run: Mapping[str, Any]) -> Sequence[str]:
    joins, events, cpu = run["joins"], run["events"], run["control_plane_ms_per_join"]
    people = f"{run['load']['people']:,} people"
    rest = run["rest_percent_of_a_core"].get("control-plane")
    return [
        f"{name}, {people}" if name else people,
        f"{joins['answered']:,}",
        f"{joins['reached_per_second']:.0f}",
        f"{joins['p50_ms'] / 1000:.1f}, {joins['p99_ms'] / 1000:.1f} s",
        f"{events['p50_ms']:,.0f}, {events['p99_ms']:,.0f} ms",
        f"{events['within_window_percent']:.0f} %",
        f"{cpu['until_quiet']:.0f} ms" if cpu else _NO_FIGURE,
        f"{run['messages_a_watcher']:.0f}, {run['bytes_a_watcher']['until_quiet'] / 1000:.0f} kB",
        f"{rest:.0f} %" if rest is not None else _NO_FIGURE,
        f"{run['logs']['whole']:,} of {run['logs']['watchers']:,}",
    ]


_TABLES = {
    "crowd": crowd,
    "forwarding grid": forwarding_grid,
    "latency": latency,
    "loss": loss,
    "capacity": capacity,
    "layers": times,
    "withdrawal": times,
}


def tables(results: Mapping[str, Any]) -> str:
    """The table of a benchmark's results."""
    return _TABLES[results["bench"]](results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    for file in parser.parse_args().files:
        print(tables(json.loads(file.read_text())), end="\n\n")
