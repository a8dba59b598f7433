"""Bad requests, each by gRPC, gRPC-Web and REST: the same documented answer three times, and nothing is written."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import pytest

from tests.hostile import identity_requests, meeting_requests, signaling_requests
from tests.support.hostile import Request, World, changes
from tests.support.transports import HTTP_STATUS, Transport, has_rest_route, method
from tests.support.waiting import until

_ATTEMPTS = 3

REQUESTS = [*identity_requests.REQUESTS, *meeting_requests.REQUESTS, *signaling_requests.REQUESTS]


def test_the_table_is_long_and_goes_every_way() -> None:
    assert len(REQUESTS) >= 40
    assert len({(request.rpc, request.name) for request in REQUESTS}) == len(REQUESTS)
    assert {request.code for request in REQUESTS} <= HTTP_STATUS.keys()
    for request in REQUESTS:
        assert ("rest" in request.only) <= has_rest_route(method(request.rpc)), request.name


@pytest.mark.parametrize("bad", REQUESTS, ids=lambda bad: f"{bad.rpc.split('.')[1]}: {bad.name}")
async def test_bad_request(
    bad: Request,
    world: World,
    transports: Sequence[Transport],
    stored: Callable[[], Awaitable[Mapping[str, str]]],
) -> None:
    for attempt in range(_ATTEMPTS):
        before = await stored()
        for transport in transports:
            if transport.name in bad.only:
                await _send(bad, transport, world)
        if await _same_again(before, stored, last=attempt == _ATTEMPTS - 1):
            return


async def _send(bad: Request, transport: Transport, world: World) -> None:
    for _ in range(_ATTEMPTS):
        outcome = await transport.call(method(bad.rpc), bad.message(world), bad.token(world))
        if outcome.reason != "MEDIA_NODE_UNAVAILABLE" or outcome.retry_after is None:
            break
        # A media session that is being replaced at this moment can't be asked: the answer says when to ask again.
        await asyncio.sleep(outcome.retry_after)
    seen = (outcome.code.name, outcome.reason, outcome.domain)
    assert seen == (bad.code.name, bad.reason, "parley.dev"), f"{transport.name}: {outcome}"
    assert outcome.details.count("google.rpc.ErrorInfo") == 1, f"{transport.name}: {outcome}"
    if bad.field:
        assert bad.field in outcome.fields, f"{transport.name}: {outcome}"


async def _same_again(
    before: Mapping[str, str], stored: Callable[[], Awaitable[Mapping[str, str]]], *, last: bool
) -> bool:
    """Whether what is stored is what was before; what a call has to take back may take a moment."""
    try:
        await until(stored, lambda now: not changes(before, now), within=1)
    except AssertionError:
        # Something else may have happened meanwhile, a session of the world's people that ended. It won't three times.
        if last:
            assert changes(before, await stored()) == []
        return False
    return True
