"""What happens when a store goes away: a clear answer within a bounded time, and recovery by itself."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from parley.identity.v1 import identity_service_pb2 as identity
from parley.meeting.v1 import meeting_service_pb2 as pb
from parley_cli.parts.postgres import PostgresPart
from parley_cli.parts.redis import RedisPart
from tests.support.control_plane import Running, bearer, refusal, running

# The bounds of storage/database.py and redis_store.py, and what a busy machine adds.
LONGEST = 12.0


async def unavailable(call: Any) -> None:  # noqa: ANN401 - any stub's call
    began = time.monotonic()
    error = await refusal(call)
    assert time.monotonic() - began < LONGEST
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
    assert error.retry_after is not None
    assert "postgres" not in error.message.lower()


async def test_a_dead_database_is_unavailable_and_comes_back(
    redis_url: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    part = PostgresPart(tmp_path_factory.mktemp("pg"), durable=False)
    part.start(timeout=60)
    try:
        async with running(part.url, redis_url, tmp_path) as plane:
            token = (await plane.sign_up()).credentials.access_token
            name = (await plane.create(token)).name
            request = pb.GetMeetingRequest(name=name)
            part.kill()
            await unavailable(plane.plans.GetMeeting(request, metadata=bearer(token)))
            await unavailable(plane.accounts.SignIn(identity.SignInRequest(email="ada@example.org", password="x" * 10)))
            part.start(timeout=60)
            assert (await plane.plans.GetMeeting(request, metadata=bearer(token))).meeting.name == name
    finally:
        part.stop()


async def test_a_database_that_hangs_is_given_up(
    redis_url: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    part = PostgresPart(tmp_path_factory.mktemp("pg"), durable=False)
    part.start(timeout=60)
    try:
        async with running(part.url, redis_url, tmp_path) as plane:
            token = (await plane.sign_up()).credentials.access_token
            request = pb.ListMeetingsRequest()
            family = [part.pid, *(child.pid for child in psutil.Process(part.pid).children(recursive=True))]
            for pid in family:
                os.kill(pid, signal.SIGSTOP)
            try:
                await unavailable(plane.plans.ListMeetings(request, metadata=bearer(token)))
            finally:
                for pid in family:
                    os.kill(pid, signal.SIGCONT)
            await plane.plans.ListMeetings(request, metadata=bearer(token))
    finally:
        part.stop()


async def test_a_process_that_starts_without_a_database_serves_and_finds_it_later(
    redis_url: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control_plane.platform.postgres.capability._FIRST_TRY_SECONDS", 0.5)
    monkeypatch.setattr("control_plane.platform.postgres.capability._TRY_AGAIN_SECONDS", 0.1)
    part = PostgresPart(tmp_path_factory.mktemp("pg"), durable=False)
    async with running(part.url, redis_url, tmp_path) as plane:
        await unavailable(plane.sign_up())
        part.start(timeout=60)
        try:
            deadline = time.monotonic() + 30
            while True:
                try:
                    await plane.sign_up()
                    break
                except grpc.aio.AioRpcError as error:
                    assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017 - any other failure is one
                    assert time.monotonic() < deadline
        finally:
            part.stop()


async def test_a_dead_redis_is_unavailable_and_comes_back(plane: Running, redis_server: RedisPart) -> None:
    email = (await plane.sign_up()).user.email
    request = identity.SignInRequest(email=email, password="correct horse battery")
    redis_server.kill()
    try:
        await unavailable(plane.accounts.SignIn(request))
    finally:
        redis_server.start()
    assert (await plane.accounts.SignIn(request)).user.email == email
