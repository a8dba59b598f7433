"""Any gRPC tool can list, describe and call the public services by reflection; the README's calls work as printed."""

import asyncio
import base64
import json
import re
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.support.fleet import Fleet

_ROOT = Path(__file__).parents[2]
_BUF = Path(sys.executable).with_name("buf")
_PUBLIC = {
    "parley.allocation.v1.RoomAllocationService",
    "parley.identity.v1.IdentityService",
    "parley.meeting.v1.MeetingService",
    "parley.signaling.v1.SignalingService",
}


async def _run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, f"{command}: {err.decode()}"
    return out.decode()


async def _curl(url: str, *arguments: str) -> str:
    return await _run(str(_BUF), "curl", "--protocol", "grpc", "--http2-prior-knowledge", "--reflect", *arguments, url)


async def test_a_tool_lists_the_public_services(fleet: Fleet) -> None:
    listed = set((await _curl(fleet.url, "--list-services")).split())
    assert listed >= _PUBLIC | {"grpc.health.v1.Health"}


@pytest.mark.parametrize("path", ["parley.node.v1.NodeService/Report", "parley.sfu.v1.SfuControlService/OpenRoom"])
async def test_what_is_inside_is_not_reached_from_outside(fleet: Fleet, path: str) -> None:
    async with grpc.aio.insecure_channel(fleet.authority) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(f"/{path}", request_serializer=bytes)(
                b"", metadata=(("authorization", f"Bearer {fleet.operator_token}"),)
            )
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_tool_lists_methods(fleet: Fleet) -> None:
    listed = (await _curl(fleet.url, "--list-methods")).split()
    assert "parley.signaling.v1.SignalingService/JoinMeeting" in listed


async def test_a_tool_calls_a_service_it_knows_by_reflection_alone(fleet: Fleet) -> None:
    out = await _curl(f"{fleet.url}/parley.identity.v1.IdentityService/CreateGuestSession", "--data", "{}")
    assert json.loads(out)["user"]["kind"] == "USER_KIND_GUEST"


async def test_a_tool_sees_the_details_of_an_error(fleet: Fleet) -> None:
    process = await asyncio.create_subprocess_exec(
        _BUF, "curl", "--protocol", "grpc", "--http2-prior-knowledge", "--data", "{}",
        f"{fleet.url}/parley.identity.v1.IdentityService/GetCurrentUser",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, err = await process.communicate()
    assert process.returncode != 0
    [detail] = json.loads(err)["details"]
    info = ErrorInfo.FromString(base64.b64decode(detail["value"] + "=="))
    assert (info.reason, info.domain) == ("TOKEN_MISSING", "parley.dev")


@pytest.mark.parametrize("service", sorted(_PUBLIC))
async def test_a_tool_describes_a_service(fleet: Fleet, service: str) -> None:
    def describe() -> set[str]:
        with grpc.insecure_channel(fleet.authority) as channel:
            pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
            return {f"{method.name}({method.input_type.name})" for method in pool.FindServiceByName(service).methods}

    methods = await asyncio.to_thread(describe)
    assert methods
    assert all(method.split("(")[0] + "Request)" == method.split("(")[1] for method in methods)


async def test_health_is_answered_by_the_service_and_over_http(fleet: Fleet) -> None:
    out = await _curl(f"{fleet.url}/grpc.health.v1.Health/Check", "--data", "{}")
    assert json.loads(out)["status"] == "SERVING"


async def test_the_rest_calls_of_the_readme_work_as_printed(fleet: Fleet) -> None:
    readme = (_ROOT / "README.md").read_text()
    block = next(found for found in re.findall(r"```sh\n(.*?)```", readme, re.DOTALL) if "users:signUp" in found)
    assert "http://localhost:8080" in block
    script = "set -eu\n" + block.replace("http://localhost:8080", fleet.url)
    out = await _run("bash", "-c", script)
    answers = _json_values(out)
    assert answers[0]["user"]["displayName"] == "You"
    assert answers[1]["meeting"]["topic"] == "Tea"
    assert [meeting["topic"] for meeting in answers[2]["meetings"]] == ["Tea"]


def _json_values(text: str) -> list[Any]:
    decoder, values, rest = json.JSONDecoder(), [], text.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        values.append(value)
        rest = rest[end:].lstrip()
    return values
