"""`parley bench api`: unary calls through the gateway, by as many callers as keep it busy."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from grpc import aio

from grpc_kit.channel import open_channel
from media_plane.bots.client import create_meeting
from parley.identity.v1 import identity_service_pb2
from parley.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from parley.meeting.v1 import meeting_service_pb2
from parley.meeting.v1.meeting_service_pb2_grpc import MeetingServiceStub
from parley_cli.bench.conditions import conditions
from parley_cli.bench.product import CONTROL_PLANE, NO_LIMITS, Product, own_product
from parley_cli.bench.statistics import summary_ms

_CONNECTIONS = 4
_CALLERS = 32
_CALL_SECONDS = 10.0
_WARM_UP_SECONDS = 1.0
_MEASURED = ("envoy", CONTROL_PLANE)
_PROCESSES = (1, 2)


async def bench_api(seconds: float) -> Mapping[str, Any]:
    """Measures on one control-plane process, and then on two."""
    before = conditions()
    figures = {count: await _bench_processes(count, seconds) for count in _PROCESSES}
    one, two = (figures[count] for count in _PROCESSES)
    return {
        "bench": "api",
        "processes": {str(count): found for count, found in figures.items()},
        "ratio_of_two_to_one": {method: _ratio(one[method], two[method]) for method in one},
        "load": {"connections": _CONNECTIONS, "callers": _CALLERS, "way": "gRPC through Envoy, closed loop"},
        "conditions": {**before, "note": "The load runs on the cores of the product."},
    }


async def _bench_processes(count: int, seconds: float) -> Mapping[str, Mapping[str, Any]]:
    """Calls two methods in turn for `seconds` each: one that only reads its token, and one that reads PostgreSQL."""
    told = {**NO_LIMITS, "PARLEY_CONTROL_PLANE_PROCESSES": str(count)}
    async with own_product(told) as product, AsyncExitStack() as stack:
        meeting, _, token = await create_meeting(product.target)
        channels = [
            await stack.enter_async_context(_private_channel(product.target, token)) for _ in range(_CONNECTIONS)
        ]
        await asyncio.gather(*(channel.channel_ready() for channel in channels))
        identity = [IdentityServiceStub(channel).GetCurrentUser for channel in channels]
        meetings = [MeetingServiceStub(channel).GetMeeting for channel in channels]
        who = identity_service_pb2.GetCurrentUserRequest()
        which = meeting_service_pb2.GetMeetingRequest(name=meeting)
        return {
            "GetCurrentUser": await _measure(product, identity, who, seconds),
            "GetMeeting": await _measure(product, meetings, which, seconds),
        }


def _ratio(one: Mapping[str, Any], two: Mapping[str, Any]) -> Mapping[str, float]:
    return {name: round(two[name] / one[name], 2) for name in ("calls_per_second", "calls_per_cpu_second")}


def _private_channel(target: str, token: str) -> aio.Channel:
    # Channels of equal options share a connection unless told otherwise.
    return open_channel(target, bearer_token=token, options=[("grpc.use_local_subchannel_pool", 1)])


async def _measure(product: Product, methods: Sequence[Any], request: Any, seconds: float) -> Mapping[str, Any]:  # noqa: ANN401 - any contract
    await _call_for(methods, request, _WARM_UP_SECONDS)
    before = product.cpu_seconds()
    begun = time.monotonic()
    durations = await _call_for(methods, request, seconds)
    wall = time.monotonic() - begun
    after = product.cpu_seconds()
    spent = {name: after[name] - before[name] for name in _MEASURED}
    return {
        "calls": len(durations),
        "calls_per_second": round(len(durations) / wall),
        **summary_ms(durations),
        "cpu_seconds": {name: round(cpu, 2) for name, cpu in spent.items()},
        "calls_per_cpu_second": round(len(durations) / spent[CONTROL_PLANE]),
        "cpu_ms_per_call": {name: round(1_000 * cpu / len(durations), 3) for name, cpu in spent.items()},
    }


async def _call_for(methods: Sequence[Any], request: Any, seconds: float) -> Sequence[float]:  # noqa: ANN401
    durations: list[float] = []
    end = time.monotonic() + seconds

    async def caller(number: int) -> None:
        method = methods[number % len(methods)]
        while (begun := time.monotonic()) < end:
            await method(request, timeout=_CALL_SECONDS)
            durations.append(time.monotonic() - begun)

    await asyncio.gather(*(caller(number) for number in range(_CALLERS)))
    return durations
