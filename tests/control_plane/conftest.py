from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import redis.asyncio as redis

from control_plane.platform.postgres.database import Database
from parley_cli.parts.postgres import PostgresPart
from parley_cli.parts.redis import RedisPart
from tests.support import stores
from tests.support.control_plane import Running, running
from tests.support.live import FakeNode, FakeNodes, MemoryDirectory, Replica, SetClock
from tests.support.tables import AnyStore, Tables

MakeReplica = Callable[..., Replica]
Client = Any  # redis-py types its commands for both of its clients at once


@pytest_asyncio.fixture(scope="session")
async def plane(
    postgres: PostgresPart,
    migrated_template: str,
    redis_server: RedisPart,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Running]:
    """A control plane for all tests: each makes its own people and meetings, and the clock only ever goes forward."""
    folder = tmp_path_factory.mktemp("plane")
    with stores.fresh_database(postgres, migrated_template) as url:
        async with running(url, redis_server.url, folder) as it:
            yield it


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    it = Database(database_url)
    it.opened.set()
    yield it
    await it.close()


@pytest.fixture
def store(database: Database) -> AnyStore:
    return AnyStore(database, Tables)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def node() -> FakeNode:
    return FakeNode("n1", "node-1:1")


@pytest.fixture
def nodes(node: FakeNode) -> FakeNodes:
    return FakeNodes(node)


@pytest.fixture
def second(nodes: FakeNodes) -> FakeNode:
    """A second media node, which the test registers."""
    node = FakeNode("n2", "node-2:1")
    nodes.by_address[node.address] = node
    return node


@pytest.fixture
def directory() -> MemoryDirectory:
    made = MemoryDirectory()
    made.add()
    return made


@pytest.fixture
async def make_replica(
    redis_url: str, clock: SetClock, directory: MemoryDirectory, nodes: FakeNodes
) -> AsyncIterator[MakeReplica]:
    """Makes further replicas of the control plane on the same Redis."""
    made: list[Replica] = []

    def make(**options: Any) -> Replica:  # noqa: ANN401 -- settings and replacements
        made.append(Replica(redis_url, clock, directory, nodes, **options))
        return made[-1]

    yield make
    for replica in made:
        await replica.stop()


@pytest.fixture
async def replica(make_replica: MakeReplica, node: FakeNode) -> Replica:
    made = make_replica()
    await made.register(node)
    return made


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Client]:
    it = redis.Redis.from_url(redis_url, decode_responses=True)
    yield it
    await it.aclose()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisPart]:
    """A server of its own, which the test may kill."""
    part = RedisPart(tmp_path, server=stores.redis_program())
    part.start(timeout=60)
    yield part
    part.stop()


@pytest.fixture
async def alone(own_redis: RedisPart, node: FakeNode, nodes: FakeNodes) -> AsyncIterator[Replica]:
    """A replica alone on a server that the test may kill, with its tasks running."""
    directory = MemoryDirectory()
    directory.add()
    made = Replica(own_redis.url, SetClock(), directory, nodes)
    await made.register(node)
    made.part.start()
    yield made
    await made.stop()
