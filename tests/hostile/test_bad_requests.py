"""Bad requests, each by gRPC, gRPC-Web and REST: the same documented answer three times, and nothing is written."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import pytest

from tests.hostile import identity_requests, meeting_requests, signaling_requests
from tests.support.hostile import Request, World, changes
from tests.support.transports import HTTP_STATUS, Transport, has_rest_route, method

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
    before = await stored()
    for transport in transports:
        if transport.name not in bad.only:
            continue
        outcome = await transport.call(method(bad.rpc), bad.message(world), bad.token(world))
        seen = (outcome.code.name, outcome.reason, outcome.domain)
        assert seen == (bad.code.name, bad.reason, "parley.dev"), f"{transport.name}: {outcome}"
        assert outcome.details.count("google.rpc.ErrorInfo") == 1, f"{transport.name}: {outcome}"
        if bad.field:
            assert bad.field in outcome.fields, f"{transport.name}: {outcome}"
    assert changes(before, await stored()) == []
