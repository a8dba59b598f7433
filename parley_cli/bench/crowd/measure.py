"""`parley bench crowd`: what a large meeting costs, from the joins to its rest."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from parley_cli.bench.conditions import HostMeter, conditions
from parley_cli.bench.crowd.driver import Crowd, open_crowd
from parley_cli.bench.product import NO_LIMITS, Product, own_product
from parley_cli.bench.statistics import summary_ms

_PEOPLE_OF_A_PROCESS = 500
_EMOJI = "👏"


@dataclass(frozen=True)
class CrowdLoad:
    """Who comes, and what happens then.

    Attributes:
        people: People in the meeting; all join muted, with camera and microphone, and receive nobody's media.
        joins_per_second: How fast they come, whatever the answers take.
        events: Reactions and microphones that go on, in turn, once all are in.
        window: Seconds from one to the next, in which it has to be with everybody.
        rest: Seconds of rest to measure, heartbeats and checkpoints going on.
        within: Seconds after which joins that are not answered, or events that still come, end the measurement.
    """

    people: int = 300
    joins_per_second: float = 100.0
    events: int = 20
    window: float = 1.0
    rest: float = 10.0
    within: float = 180.0

    @property
    def processes(self) -> int:
        """Load processes that share the people."""
        return -(-self.people // _PEOPLE_OF_A_PROCESS)


@dataclass(frozen=True)
class _Moment:
    """Counters at a moment."""

    wall: float
    cpu: Mapping[str, float]
    messages: int
    message_bytes: int


async def bench_crowd(load: CrowdLoad, target: str = "") -> Mapping[str, Any]:
    """Measures a crowd in a meeting of its own, on a product of its own or on the one at `target`."""
    before = conditions()
    async with _product(target) as product, open_crowd(product.target, load.people, load.processes) as crowd:
        host = HostMeter()
        figures = await measure(load, product, crowd)
        stolen = host.stolen_percent()
    return {
        "bench": "crowd",
        **figures,
        "stolen_percent": stolen,
        "load": {**asdict(load), "processes": load.processes},
        "conditions": before,
    }


async def measure(load: CrowdLoad, product: Product, crowd: Crowd) -> Mapping[str, Any]:
    """Joins, events, rest, and then the logs."""
    begin = await _moment(product, crowd)
    first = await crowd.join(load.joins_per_second, load.within)
    joined = await _moment(product, crowd)
    events = [await _event(crowd, load, number) for number in range(load.events)]
    told = await _moment(product, crowd)
    settled = await crowd.settle(load.within)
    quiet = await _moment(product, crowd)
    await asyncio.sleep(load.rest)
    rested = await _moment(product, crowd)
    records = await crowd.records()
    joins = [seconds for record in records for seconds in record["joins"]]
    return {
        "joins": {
            "answered": len(joins),
            "asked_per_second": load.joins_per_second,
            "reached_per_second": _rate(len(joins) - 1, max(record["last_join"] for record in records) - first),
            **summary_ms(joins),
        },
        "events": _delivery(events, records, len(joins), load.window),
        "heartbeats": {
            "until_quiet": _heartbeats(records, begin.wall, quiet.wall),
            "at_rest": _heartbeats(records, quiet.wall, rested.wall),
        },
        "failures": dict(sum((Counter(record["failures"]) for record in records), Counter())),
        "seconds_until_quiet": round(quiet.wall - told.wall, 1) if settled else None,
        "cpu_seconds": {
            "joins": _spent(begin, joined),
            "events": _spent(joined, told),
            "until_quiet": _spent(told, quiet),
        },
        "control_plane_ms_per_join": _per_join(begin, joined, quiet, len(joins)),
        "rest_percent_of_a_core": {
            name: round(100 * seconds / (rested.wall - quiet.wall), 1)
            for name, seconds in _spent(quiet, rested).items()
        },
        "bytes_a_watcher": {
            "until_quiet": round((quiet.message_bytes - begin.message_bytes) / max(1, len(joins))),
            "at_rest_per_second": round(
                (rested.message_bytes - quiet.message_bytes) / (rested.wall - quiet.wall) / max(1, len(joins)), 1
            ),
        },
        "messages_a_watcher": round((quiet.messages - begin.messages) / max(1, len(joins)), 1),
        "media_connected": await crowd.connected(),
        "streams_reopened": sum(record["reopened"] for record in records),
        "logs": {name: found for name, found in (await crowd.check()).items() if name != "heard"},
    }


async def _event(crowd: Crowd, load: CrowdLoad, number: int) -> Mapping[str, Any]:
    """Has one person do something, and gives it its window."""
    # Each event is somebody else's, which tells it from the others; they are spread over the order of joining.
    person = number * crowd.people // load.events
    sent = await (crowd.react(person, _EMOJI) if number % 2 == 0 else crowd.unmute(person))
    await asyncio.sleep(max(0.0, sent["sent"] + load.window - time.monotonic()))
    return sent


def _delivery(
    events: Sequence[Mapping[str, Any]], records: Sequence[Mapping[str, Any]], watchers: int, window: float
) -> Mapping[str, Any]:
    delays = [
        moment - event["sent"]
        for event in events
        for record in records
        for moment in record["arrivals"].get(event["key"], ())
    ]
    expected = len(events) * watchers
    return {
        "sent": len(events),
        "watchers": watchers,
        "delivered_percent": _percent(len(delays), expected),
        "within_window_percent": _percent(sum(delay <= window for delay in delays), expected),
        **summary_ms(delays),
    }


def _heartbeats(records: Sequence[Mapping[str, Any]], begin: float, end: float) -> Mapping[str, Any]:
    durations = [seconds for record in records for sent, seconds in record["heartbeats"] if begin <= sent < end]
    return {"answered": len(durations), **summary_ms(durations)}


def _spent(before: _Moment, after: _Moment) -> Mapping[str, float]:
    return {name: round(cpu - before.cpu[name], 2) for name, cpu in after.cpu.items()}


def _per_join(begin: _Moment, joined: _Moment, quiet: _Moment, joins: int) -> Mapping[str, float] | None:
    if "control-plane" not in begin.cpu or not joins:
        return None
    first = begin.cpu["control-plane"]
    return {
        "until_answered": round(1_000 * (joined.cpu["control-plane"] - first) / joins, 1),
        "until_quiet": round(1_000 * (quiet.cpu["control-plane"] - first) / joins, 1),
    }


async def _moment(product: Product, crowd: Crowd) -> _Moment:
    records = await crowd.counts()
    return _Moment(
        wall=time.monotonic(),
        cpu={**product.cpu_seconds(), **crowd.cpu_seconds()},
        messages=sum(record["messages"] for record in records),
        message_bytes=sum(record["message_bytes"] for record in records),
    )


def _rate(count: int, seconds: float) -> float:
    return round(count / seconds, 1)


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


@asynccontextmanager
async def _product(target: str) -> AsyncIterator[Product]:
    if target:
        yield Product(target, {})
        return
    async with own_product(NO_LIMITS) as product:
        yield product
