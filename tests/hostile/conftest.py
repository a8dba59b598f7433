"""The world that hostile requests are tried on, and the three ways to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

import httpx
import pytest
import pytest_asyncio

from parley_cli.parts import PostgresPart, RedisPart
from tests.support.fleet import Fleet
from tests.support.hostile import World, build_world, fingerprint, keep_present
from tests.support.transports import Grpc, GrpcWeb, Rest, Transport


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def api(fleet: Fleet) -> AsyncIterator[Grpc]:
    api = Grpc(fleet.authority)
    yield api
    await api.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def transports(api: Grpc, fleet: Fleet) -> AsyncIterator[Sequence[Transport]]:
    async with httpx.AsyncClient(base_url=f"http://{fleet.authority}") as client:
        yield [api, GrpcWeb(client), Rest(client)]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(api: Grpc, fleet: Fleet) -> AsyncIterator[World]:
    key = fleet.folder / "secrets" / "signing-key.pem"
    world = await build_world(api, operator_token=fleet.operator_token, signing_key=key)
    beating = asyncio.create_task(keep_present(world))
    yield world
    beating.cancel()
    with suppress(asyncio.CancelledError):
        await beating


@pytest.fixture
def stored(fleet: Fleet) -> Callable[[], Awaitable[Mapping[str, str]]]:
    """Digests of everything stored that a request could change."""
    database, live = PostgresPart(fleet.folder).url, RedisPart(fleet.folder).url
    return lambda: fingerprint(database, live)
