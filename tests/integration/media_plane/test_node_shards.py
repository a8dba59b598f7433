"""A shard of a node panics or hangs in a running call: the room is closed with the reason, and opens anew (FLT-5)."""

import os
import signal
from pathlib import Path

import httpx
import pytest

from parley.sfu.v1 import media_pb2
from parley_cli.ports import free_port
from tests.support.node_driver import NodeDriver, run_node


def shard_failed(event: media_pb2.NodeEvent) -> bool:
    return event.HasField("room_closed") and event.room_closed.reason == media_pb2.ROOM_CLOSE_REASON_SHARD_FAILED


async def metrics(port: int) -> dict[str, float]:
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("parley_node_"))
    return {name: float(value) for name, value in lines}


@pytest.mark.parametrize(
    ("number", "cause"), [(signal.SIGUSR1, "panicked"), (signal.SIGUSR2, "stalled")], ids=["panic", "hang"]
)
async def test_a_room_whose_shard_failed_opens_anew_on_the_same_node(
    tmp_path: Path, number: signal.Signals, cause: str
) -> None:
    port = free_port()
    settings = {"PARLEY_NODE_FAULT_SIGNALS": "true", "PARLEY_NODE_METRICS_PORT": str(port)}
    async with run_node(tmp_path, **settings) as node:
        async with NodeDriver(node.control_address) as room:
            first, second = await room.join(1, video_slots=1), await room.join(2, video_slots=1)
            await room.until(lambda: set(first.peer.seen().values()) == {2} and set(second.peer.seen().values()) == {1})
            os.kill(node.process.pid, number)
            await room.until(lambda: any(map(shard_failed, room.events)))
        async with NodeDriver(node.control_address, epoch=2) as again:
            again.room.room = room.room.room
            first, second = await again.join(1, video_slots=1), await again.join(2, video_slots=1)
            await again.until(lambda: set(first.peer.seen().values()) == {2})
            told = await metrics(port)
        assert told[f'parley_node_shard_failures_total{{cause="{cause}"}}'] == 1
        assert (told["parley_node_shards"], told["parley_node_serving_shards"]) == (1, 1)
        assert told["parley_node_sessions"] == 2
        assert await node.stop() == 0, "a thread that hangs holds nobody up"


async def test_a_node_without_a_shard_that_serves_is_not_healthy(tmp_path: Path) -> None:
    """A shard that keeps failing is away for longer and longer."""
    async with run_node(tmp_path, PARLEY_NODE_FAULT_SIGNALS="true") as node, NodeDriver(node.control_address) as room:
        healthy = True
        while healthy:
            os.kill(node.process.pid, signal.SIGUSR1)
            healthy = await room.is_serving()
        while not healthy:
            healthy = await room.is_serving()
