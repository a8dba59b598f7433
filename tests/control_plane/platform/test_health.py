"""A control plane's health says how its tasks are, while it serves on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from control_plane.log.reader import EventLog
from control_plane.log.state import LiveState
from tests.support.control_plane import Running, running

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


async def statuses(plane: Running) -> dict[str, int]:
    stub = health_pb2_grpc.HealthStub(plane.channel)
    answer = await stub.List(health_pb2.HealthListRequest())
    return {name: response.status for name, response in answer.statuses.items()}


async def until(plane: Running, name: str, status: int) -> dict[str, int]:
    for _ in range(1_000):
        found = await statuses(plane)
        if found.get(name) == status:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(f"{name} is still {found.get(name)}")


@pytest.mark.parametrize(
    ("owner", "method", "task", "whole"),
    [
        (EventLog, "_read", "tasks/event-log", NOT_SERVING),
        (LiveState, "due", "tasks/presence", SERVING),
    ],
    ids=["what all watchers of the process need", "what other replicas do too"],
)
async def test_a_task_that_fails_is_seen_until_it_works_again(
    database_url: str,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    method: str,
    task: str,
    whole: int,
) -> None:
    async with running(database_url, redis_url, tmp_path) as plane:
        before = await statuses(plane)
        assert set(before.values()) == {SERVING}
        assert {name for name in before if name.startswith("tasks/")} >= {
            "tasks/event-log",
            "tasks/rooms",
            "tasks/node-events",
            "tasks/presence",
            "tasks/census",
            "tasks/outbox",
            "tasks/quarantine",
            "tasks/cleaning",
        }

        async def fail(*_: object) -> None:
            raise ZeroDivisionError

        with monkeypatch.context() as broken:
            broken.setattr(owner, method, fail)
            failing = await until(plane, task, NOT_SERVING)
            assert failing[""] == whole
            assert await plane.sign_up(), "what does not need it goes on"
        mended = await until(plane, task, SERVING)
        assert set(mended.values()) == {SERVING}
