"""What is no request at all is refused in the same words, and guessing is slowed down."""

import struct
import uuid
from collections.abc import Sequence

import grpc
import httpx
import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2

from parley.identity.v1 import identity_service_pb2 as identity
from parley.meeting.v1 import meeting_pb2
from parley.meeting.v1 import meeting_service_pb2 as meetings
from parley.signaling.v1 import signaling_service_pb2 as signaling
from tests.support.fleet import Fleet
from tests.support.hostile import World
from tests.support.transports import Outcome, Transport, method

_GUESTS = "/v1/guests"
_GUEST_RPC = "/parley.identity.v1.IdentityService/CreateGuestSession"
_GUESSES = 60

Call = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ('{"meeting": ', 400),
        ("[]", 400),
        ('{"meeting": 5}', 400),
        ('{"meeting": "\\ud800"}', 400),
        ("[" * 100_000, 400),
        ('{"meeting": "' + "x" * 1_000_000 + '"}', 413),
    ],
    ids=["unfinished", "no object", "wrong type", "half a character", "too deep", "too large"],
)
async def test_json_that_is_no_request(fleet: Fleet, body: str, status: int) -> None:
    async with httpx.AsyncClient(base_url=fleet.url) as client:
        answer = await client.post(_GUESTS, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert _reason(answer) == ("INVALID_ARGUMENT", "parley.dev")


@pytest.mark.parametrize("query", ["page_size=abc", "page_size=99999999999", "nonsense=1"])
async def test_parameters_that_fit_no_field(fleet: Fleet, query: str) -> None:
    async with httpx.AsyncClient(base_url=fleet.url) as client:
        answer = await client.get(f"/v1/meetings?{query}")
    assert answer.status_code == 400
    assert _reason(answer) == ("INVALID_ARGUMENT", "parley.dev")


@pytest.mark.parametrize(("verb", "path"), [("GET", "/v1/nothing"), ("PUT", "/v1/meetings"), ("POST", "/v2/guests")])
async def test_a_route_that_is_none(fleet: Fleet, verb: str, path: str) -> None:
    async with httpx.AsyncClient(base_url=fleet.url) as client:
        answer = await client.request(verb, path)
    assert answer.status_code in {404, 405}
    assert "Traceback" not in answer.text


async def test_bytes_that_are_no_message(fleet: Fleet) -> None:
    async with grpc.aio.insecure_channel(fleet.authority) as channel:
        call: Call = channel.unary_unary(_GUEST_RPC, request_serializer=bytes)
        with pytest.raises(grpc.aio.AioRpcError) as native:
            await call(b"\xff" * 16)
    assert native.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    async with httpx.AsyncClient(base_url=fleet.url) as client:
        headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
        web = await client.post(_GUEST_RPC, content=struct.pack(">BI", 0, 4) + b"\xff" * 4, headers=headers)
    assert web.headers["grpc-status"] == str(grpc.StatusCode.INVALID_ARGUMENT.value[0])


async def test_a_message_of_five_megabytes(fleet: Fleet) -> None:
    channel = grpc.aio.insecure_channel(fleet.authority, [("grpc.max_send_message_length", -1)])
    async with channel:
        call: Call = channel.unary_unary(_GUEST_RPC, request_serializer=bytes)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(bytes(5_000_000))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_guessing_a_passcode_is_stopped(world: World, transports: Sequence[Transport]) -> None:
    made = await world.call(
        "MeetingService.CreateMeeting",
        meetings.CreateMeetingRequest(meeting=meeting_pb2.Meeting(topic="guessed")),
        meetings.CreateMeetingResponse,
        world.host.token,
    )
    name, rpc = made.meeting.name, method("IdentityService.CreateGuestSession")

    async def guess(passcode: str, transport: Transport) -> Outcome:
        return await transport.call(rpc, identity.CreateGuestSessionRequest(meeting=name, passcode=passcode))

    outcomes = [await guess(f"wrong{number}", transports[number % len(transports)]) for number in range(_GUESSES)]
    assert {outcome.reason for outcome in outcomes} == {"PASSCODE_WRONG", "PASSCODE_ATTEMPTS_EXCEEDED"}
    assert outcomes[0].metadata
    assert int(outcomes[0].metadata["attempts_left"]) < _GUESSES
    assert outcomes[-1].code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert outcomes[-1].retry_after
    # Not even the right one is told from the others now.
    assert (await guess(made.meeting.passcode, transports[0])).reason == "PASSCODE_ATTEMPTS_EXCEEDED"


async def test_reactions_are_limited(world: World, transports: Sequence[Transport]) -> None:
    guest = world.people["guest"]
    outcomes = [
        await transports[number % len(transports)].call(
            method("SignalingService.SendReaction"),
            signaling.SendReactionRequest(name=guest.name, emoji="\U0001f44d", request_id=str(uuid.uuid4())),
            guest.token,
        )
        for number in range(30)
    ]
    refused = [outcome for outcome in outcomes if outcome.code is not grpc.StatusCode.OK]
    assert refused
    assert {outcome.reason for outcome in refused} == {"RATE_LIMITED"}
    assert all(outcome.retry_after for outcome in refused)


def _reason(answer: httpx.Response) -> tuple[str, str]:
    status = json_format.Parse(answer.content, status_pb2.Status())
    info = error_details_pb2.ErrorInfo()
    assert sum(detail.Unpack(info) for detail in status.details) == 1, answer.text
    return info.reason, info.domain
