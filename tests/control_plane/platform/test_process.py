"""`python -m control_plane` as an operator meets it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from grpc_kit.channel import open_channel
from parley.identity.v1 import identity_service_pb2 as identity
from parley.identity.v1 import identity_service_pb2_grpc
from parley_cli.parts.python import PythonPart
from parley_cli.ports import free_port

BUF = str(Path(sys.executable).with_name("buf"))


@pytest.fixture
def environment(database_url: str, redis_url: str, tmp_path: Path) -> dict[str, str]:
    return {
        "PARLEY_DATABASE_URL": database_url,
        "PARLEY_REDIS_URL": redis_url,
        "PARLEY_CONTROL_PLANE_ADDRESS": "127.0.0.1:0",
        "PARLEY_SIGNING_KEY_FILE": str(tmp_path / "key.pem"),
        "PARLEY_LOG_FORMAT": "json",
    }


def run(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "control_plane"]
    return subprocess.run(  # noqa: S603 - our own program
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


async def test_it_serves_says_so_and_ends_in_good_order(environment: dict[str, str]) -> None:
    lines: list[str] = []
    metrics = free_port()
    part = PythonPart(
        "control-plane",
        "control_plane",
        {**environment, "PARLEY_CONTROL_PLANE_METRICS_PORT": str(metrics)},
        lines.append,
    )
    await asyncio.to_thread(part.start, 60)
    try:
        assert part.ready["metrics_port"] == metrics
        async with open_channel(f"127.0.0.1:{part.ready['port']}") as channel:
            stub = identity_service_pb2_grpc.IdentityServiceStub(channel)
            request = identity.SignUpRequest(email="ada@example.org", password="correct horse", display_name="Ada")
            answer = await stub.SignUp(request)
        text = (await asyncio.to_thread(httpx.get, f"http://127.0.0.1:{metrics}/metrics")).text
        assert 'grpc_server_handled_total{grpc_code="OK",grpc_method="SignUp"' in text
    finally:
        assert await asyncio.to_thread(part.stop) == 0
    assert sum(line.startswith("READY ") for line in lines) == 1
    log = [json.loads(line) for line in lines if line.startswith("{")]
    call = next(line for line in log if line.get("method", "").endswith("/SignUp"))
    assert call["code"] == "OK"
    assert len(call["trace_id"]) == 32
    everything = "\n".join(lines)
    for secret in ("correct horse", answer.credentials.refresh_token, answer.credentials.access_token):
        assert secret not in everything


async def test_any_grpc_tool_lists_describes_and_calls(environment: dict[str, str]) -> None:
    part = PythonPart("control-plane", "control_plane", environment)
    await asyncio.to_thread(part.start, 60)
    try:
        url = f"http://127.0.0.1:{part.ready['port']}"
        tool = [BUF, "curl", "--protocol", "grpc", "--http2-prior-knowledge"]

        async def ask(*arguments: str) -> str:
            process = await asyncio.create_subprocess_exec(*tool, *arguments, stdout=subprocess.PIPE)
            output, _ = await process.communicate()
            assert process.returncode == 0
            return output.decode()

        services = (await ask("--list-services", url)).split()
        assert {"parley.identity.v1.IdentityService", "parley.meeting.v1.MeetingService"} <= set(services)
        account = {"email": "ada@example.org", "password": "correct horse", "displayName": "Ada"}
        answer = await ask("-d", json.dumps(account), f"{url}/parley.identity.v1.IdentityService/SignUp")
        assert json.loads(answer)["user"]["displayName"] == "Ada"
    finally:
        await asyncio.to_thread(part.stop)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PARLEY_PUBLIC_URL", "nonsense"),
        ("PARLEY_CONFIG", "/nonexistent/parley.toml"),
        ("PARLEY_SIGNING_KEY_FILE", "/dev/null"),
    ],
)
def test_a_bad_configuration_is_one_clear_sentence(environment: dict[str, str], name: str, value: str) -> None:
    done = run({**environment, name: value})
    assert done.returncode == 1
    assert done.stdout == ""
    sentences = done.stderr.strip().splitlines()
    assert len(sentences) == 1
    assert sentences[0].startswith("parley control-plane: ")


async def test_a_port_in_use_is_one_clear_sentence(environment: dict[str, str]) -> None:
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        done = await asyncio.to_thread(run, {**environment, "PARLEY_CONTROL_PLANE_ADDRESS": address})
    finally:
        server.close()
        await server.wait_closed()
    assert done.returncode == 1
    assert done.stdout == ""
    assert address in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
