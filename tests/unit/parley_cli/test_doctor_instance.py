"""What the doctor makes of what a running product says."""

from pathlib import Path

import pytest

from parley_cli.doctor.instance import _node, _parts
from parley_cli.instances import Instance


@pytest.mark.parametrize(
    ("node", "good", "finding"),
    [
        ({"state": "NODE_STATE_ACTIVE", "sessionCount": 3, "roomCount": 1}, True, "active, 3 sessions in 1 rooms"),
        ({"state": "NODE_STATE_LOST"}, False, "lost, 0 sessions in 0 rooms"),
        ({"state": "NODE_STATE_GONE", "shardCount": 2}, True, "gone, 0 sessions in 0 rooms"),
        ({}, False, ", 0 sessions in 0 rooms"),
        (
            {"state": "NODE_STATE_ACTIVE", "shardCount": 2, "servingShardCount": 2, "shardFailures": "1"},
            True,
            "active, 0 sessions in 0 rooms, 2 of 2 shards serve, 1 shards have failed since it started",
        ),
        (
            {"state": "NODE_STATE_ACTIVE", "shardCount": 2, "servingShardCount": 1},
            False,
            "active, 0 sessions in 0 rooms, 1 of 2 shards serve",
        ),
    ],
)
def test_a_node_and_its_shards(node: dict[str, object], good: bool, finding: str) -> None:  # noqa: FBT001 - parametrised
    check = _node({"name": "nodes/n", **node})

    assert (check.name, check.good, check.finding) == ("nodes/n", good, finding)


def test_a_part_that_does_not_run_is_named_with_its_log() -> None:
    instance = Instance(Path("/data"), 1, "http://localhost:1", "http://127.0.0.1:1", {"node": 2}, ["node", "redis"])

    running, down = _parts(instance)

    assert running.good
    assert (down.name, down.good) == ("redis", False)
    assert "/data/logs/redis.log" in down.finding
