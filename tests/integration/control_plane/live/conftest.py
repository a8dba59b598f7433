from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis.asyncio as redis

from tests.support.live import FakeNode, FakeNodes, MemoryDirectory, Replica, SetClock

MakeReplica = Callable[..., Replica]
Client = Any  # redis-py types its commands for both of its clients at once


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

    def make(**options: object) -> Replica:
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
