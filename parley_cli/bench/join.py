"""`parley bench join`: from the click to the first decoded picture of somebody else."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from media_plane.bots import BotClient, BotOptions, JoinTimes, PeerOptions
from media_plane.bots.client import create_meeting
from parley_cli.bench.collector import Span, running_collector
from parley_cli.bench.conditions import conditions
from parley_cli.bench.product import own_product
from parley_cli.bench.statistics import summary_ms

_FRAMES_PER_SECOND = 30.0
_FIRST_FRAME_SECONDS = 10.0
# Exporters send each second.
_EXPORT_SECONDS = 2.5


@dataclass(frozen=True)
class _Join:
    times: JoinTimes
    trace_id: str


async def bench_join(joins: int) -> Mapping[str, Any]:
    """Joins a running meeting `joins` times, one after the other; returns quantiles and where the time goes."""
    # Without a provider of its own this process would send no trace context.
    trace.set_tracer_provider(TracerProvider())
    before = conditions()
    async with running_collector() as collector, own_product({"PARLEY_OTLP_ENDPOINT": collector.endpoint}) as product:
        meeting, passcode, host_token = await create_meeting(product.target)
        host = BotClient(_options(product.target, meeting, passcode, 1, host_token))
        await host.join()
        try:
            measured = [await _join(product.target, meeting, passcode) for _ in range(joins)]
        finally:
            await host.close()
        await asyncio.sleep(_EXPORT_SECONDS)
        spans = [collector.spans(join.trace_id) for join in measured]
    return {
        "bench": "join",
        "joins": joins,
        "click_to_first_frame": summary_ms(_known([join.times.first_frame for join in measured])),
        "click_to_answer": summary_ms([join.times.answered for join in measured]),
        "click_to_connected": summary_ms(_known([join.times.connected for join in measured])),
        "click_to_first_sound": summary_ms(_known([join.times.first_sound for join in measured])),
        "spans": _breakdown(spans),
        "publisher": {"frames_per_second": _FRAMES_PER_SECOND, "codec": "VP8", "client": "aiortc"},
        "conditions": before,
    }


def _options(target: str, meeting: str, passcode: str, number: int, token: str = "") -> BotOptions:
    peer = PeerOptions(number=number, frames_per_second=_FRAMES_PER_SECOND, camera=number == 1)
    return BotOptions(target, meeting, passcode, f"Bot {number}", peer, token)


async def _join(target: str, meeting: str, passcode: str) -> _Join:
    bot = BotClient(_options(target, meeting, passcode, 2))
    try:
        await bot.prepare()
        await bot.join()
        await bot.wait_until(lambda: bot.times().first_frame is not None, _FIRST_FRAME_SECONDS)
        return _Join(bot.times(), bot.trace_id)
    finally:
        await bot.leave()
        await bot.close()


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _breakdown(traces: Sequence[Sequence[Span]]) -> Sequence[Mapping[str, Any]]:
    """For each kind of span: when it begins within the join, and how long it takes."""
    begins: dict[tuple[str, str], list[float]] = defaultdict(list)
    durations: dict[tuple[str, str], list[float]] = defaultdict(list)
    for spans in traces:
        for span in spans:
            kind = (span.service, span.name)
            begins[kind].append(span.begin - spans[0].begin)
            durations[kind].append(span.seconds)
    kinds = sorted(begins, key=lambda kind: sum(begins[kind]) / len(begins[kind]))
    return [
        {
            "service": service,
            "span": name,
            "count": len(durations[service, name]),
            "begins_after": summary_ms(begins[service, name])["p50_ms"],
            **summary_ms(durations[service, name]),
        }
        for service, name in kinds
    ]
