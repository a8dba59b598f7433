"""What can be seen of a running product from outside: its parts, its health, its nodes, what it has set aside."""

import asyncio
from collections.abc import Iterator, Sequence

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from parley_cli.doctor.check import Check
from parley_cli.errors import CommandError
from parley_cli.instances import Instance
from parley_cli.operations import Operations
from parley_cli.settings import Settings

_TIMEOUT = 5.0
_TASKS = "tasks/"
_ACTIVE = "NODE_STATE_ACTIVE"


def instance_checks(instance: Instance, settings: Settings) -> Sequence[Check]:
    """Looks at every part, at health, tasks, nodes and quarantine of a running product."""
    with Operations(instance, settings) as operations:
        return [
            *_parts(instance),
            _answers("gateway", operations.healthy(), f"{instance.local_url} says that all is healthy"),
            _answers("client", operations.web_client(), "is served"),
            _tasks(instance),
            *_nodes(operations),
            _quarantine(operations),
        ]


def _parts(instance: Instance) -> Iterator[Check]:
    for name in instance.planned:
        pid = instance.parts.get(name)
        finding = f"runs as process {pid}" if pid else f"It does not run: see {instance.data_dir}/logs/{name}.log."
        yield Check(name, pid is not None, finding)


def _answers(name: str, good: bool, finding: str) -> Check:  # noqa: FBT001 - a finding
    return Check(name, good, finding if good else "It does not answer as it must: see the logs.")


def _tasks(instance: Instance) -> Check:
    if not instance.control_planes:
        return Check("tasks", good=False, finding="This product is of another version and does not say how they are.")
    try:
        statuses = [asyncio.run(_health(target)) for target in instance.control_planes]
    except grpc.aio.AioRpcError as error:
        return Check("tasks", good=False, finding=f"The control plane does not answer: {error.code().name}.")
    serving = health_pb2.HealthCheckResponse.SERVING
    failing = {name.removeprefix(_TASKS) for one in statuses for name, status in one.items() if status != serving}
    tasks = [name for one in statuses for name in one if name.startswith(_TASKS)]
    if failing:
        return Check("tasks", good=False, finding=f"These fail: {', '.join(sorted(failing))}.")
    return Check("tasks", good=True, finding=f"all {len(tasks)} of the control plane work")


async def _health(target: str) -> dict[str, int]:
    async with grpc.aio.insecure_channel(target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = await stub.List(health_pb2.HealthListRequest(), timeout=_TIMEOUT)
        return {name or "control plane": response.status for name, response in answer.statuses.items()}


def _nodes(operations: Operations) -> Sequence[Check]:
    try:
        nodes = operations.nodes()
    except CommandError as error:
        return [Check("nodes", good=False, finding=str(error))]
    if not any(node.get("state") == _ACTIVE for node in nodes):
        return [Check("nodes", good=False, finding="None is active: see the log of the node.")]
    return [_node(node) for node in nodes]


def _node(node: dict[str, object]) -> Check:
    state = str(node.get("state", "")).removeprefix("NODE_STATE_").lower()
    finding = f"{state}, {node.get('sessionCount', 0)} sessions in {node.get('roomCount', 0)} rooms"
    # One that has said good-bye is no fault; one that is lost is.
    good = state in {"active", "draining", "gone"}
    shards, serving = int(str(node.get("shardCount", 0))), int(str(node.get("servingShardCount", 0)))
    if shards and state != "gone":
        finding += f", {serving} of {shards} shards serve"
        good = good and serving == shards
    if failures := int(str(node.get("shardFailures", 0))):
        finding += f", {failures} shards have failed since it started"
    return Check(str(node["name"]), good, finding)


def _quarantine(operations: Operations) -> Check:
    try:
        records = operations.quarantined_records()
    except CommandError as error:
        return Check("quarantine", good=False, finding=str(error))
    if records:
        return Check("quarantine", good=False, finding=f"{len(records)} records: see `parley quarantine list`.")
    return Check("quarantine", good=True, finding="empty")
