"""`parley bench`."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

import typer
from rich.console import Console

app = typer.Typer(help="Measure the product on this machine; figures come with their conditions.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
_FORWARDING_SECONDS = 10.0
_GRID_SECONDS = 3.0
_LATENCY_SHARE = 0.7
Seconds = Annotated[float, typer.Option(min=1, help="How long to measure.")]


@app.command()
def join(*, joins: Annotated[int, typer.Option(min=1, help="How many joins.")] = 30, as_json: Json = False) -> None:
    """Measure joins into a running meeting, from the click to the first decoded picture of somebody else."""
    from parley_cli.bench.join import bench_join  # noqa: PLC0415 - --help need not wait for it

    _run(lambda: bench_join(joins), as_json=as_json)


@app.command()
def forwarding(
    *,
    subscribers: Annotated[int, typer.Option(min=1, max=1000, help="Receivers of the one publisher.")] = 200,
    seconds: Annotated[
        float | None, typer.Option(min=1, help="How long to measure; 10, or 3 a cell of the grid.")
    ] = None,
    grid: Annotated[bool, typer.Option("--grid", help="Over receivers, frames, rooms and shards.")] = False,
    as_json: Json = False,
) -> None:
    """Measure packets out per second of the media node's processor time, beside the machine's own floor."""
    from parley_cli.bench.forwarding import ForwardingLoad, bench_forwarding  # noqa: PLC0415
    from parley_cli.bench.grid import bench_grid  # noqa: PLC0415

    if grid:
        _run(lambda: bench_grid(seconds or _GRID_SECONDS), as_json=as_json)
        return
    load = ForwardingLoad(subscribers=subscribers, seconds=seconds or _FORWARDING_SECONDS)
    _run(lambda: bench_forwarding(load), as_json=as_json)


@app.command()
def latency(
    *,
    share: Annotated[float, typer.Option(min=0.1, max=1.0, help="Of what a core forwards.")] = _LATENCY_SHARE,
    seconds: Seconds = 8,
    as_json: Json = False,
) -> None:
    """Measure what the media node adds to the way of video and sound when a core of it is busy."""
    from parley_cli.bench.latency import bench_latency  # noqa: PLC0415

    _run(lambda: bench_latency(seconds, share), as_json=as_json)


@app.command()
def api(*, seconds: Seconds = 5, as_json: Json = False) -> None:
    """Measure unary calls through the gateway: how many a second, and how long they take."""
    from parley_cli.bench.api import bench_api  # noqa: PLC0415

    _run(lambda: bench_api(seconds), as_json=as_json)


@app.command()
def crowd(
    *,
    people: Annotated[int, typer.Option(min=2, max=1000, help="People in the one meeting.")] = 300,
    rate: Annotated[float, typer.Option(min=1, help="Joins a second to ask for.")] = 100,
    events: Annotated[int, typer.Option(min=1, help="Events to everybody once all are in.")] = 20,
    rest: Annotated[float, typer.Option(min=1, help="Seconds of rest to measure.")] = 10,
    target: Annotated[str, typer.Option(help="host:port of a running product's gateway; empty: one of its own.")] = "",
    as_json: Json = False,
) -> None:
    """Measure a large meeting: joins, events to everybody, heartbeats, processor time, rest, and whole logs."""
    from parley_cli.bench.crowd.measure import CrowdLoad, bench_crowd  # noqa: PLC0415

    load = CrowdLoad(people=people, joins_per_second=rate, events=min(events, people), rest=rest)
    _run(lambda: bench_crowd(load, target), as_json=as_json)


def _run(bench: Callable[[], Awaitable[Mapping[str, Any]]], *, as_json: bool) -> None:
    console = Console(highlight=False)
    if as_json:
        console.file.write(json.dumps(asyncio.run(_await(bench)), indent=2) + "\n")
        return
    with console.status("measuring …"):
        figures = asyncio.run(_await(bench))
    _print(console, figures, 0)


async def _await(bench: Callable[[], Awaitable[Mapping[str, Any]]]) -> Mapping[str, Any]:
    return await bench()


def _print(console: Console, figures: Mapping[str, Any], depth: int) -> None:
    for name, value in figures.items():
        indent = "  " * depth
        match value:
            case Mapping():
                console.print(f"{indent}[bold]{name}[/]")
                _print(console, value, depth + 1)
            case [Mapping(), *_]:
                console.print(f"{indent}[bold]{name}[/]")
                for each in value:
                    line = "  ".join(f"{key}={part}" for key, part in each.items() if not isinstance(part, Mapping))
                    console.print(f"{indent}  {line}", soft_wrap=True, markup=False)
            case _:
                console.print(f"{indent}{name}: {value}", soft_wrap=True, markup=False)
