from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from tests.support.live import FakeNode, FakeNodes, MemoryDirectory, Replica, SetClock

MakeReplica = Callable[..., Replica]


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
