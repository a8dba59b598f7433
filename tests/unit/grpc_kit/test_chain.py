"""The interceptor chain over a real connection, for all four kinds of RPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpc import aio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from grpc_kit.access import Holder
from grpc_kit.channel import open_channel
from grpc_kit.errors import ServiceError, read_error
from grpc_kit.interceptors import (
    AuthInterceptor,
    DeadlineInterceptor,
    EncodedInterceptor,
    ErrorMapInterceptor,
    OneMessageInterceptor,
    RateLimitInterceptor,
    TelemetryInterceptor,
    ValidateInterceptor,
)
from grpc_kit.interceptors.rate_limit import TokenBuckets
from grpc_kit.interceptors.validate import form_of
from grpc_kit.server import AddressInUseError, GrpcServer, Service
from parley.meeting.v1 import meeting_pb2, meeting_service_pb2, meeting_service_pb2_grpc
from parley.options.v1 import access_pb2
from tests.support.services import define_service

SECRET = "hunter2 in /etc/shadow"
CALLER: ContextVar[str] = ContextVar("caller")
Context = aio.ServicerContext[Any, Any]
KINDS = ["unary_unary", "unary_stream", "stream_unary", "stream_stream"]


async def behave(text: str) -> StringValue:
    if text == "crash":
        raise RuntimeError(SECRET)
    if text == "refuse":
        raise ServiceError(
            grpc.StatusCode.ABORTED, "ETAG_MISMATCH", "Read it again.", metadata={"etag": "7"}, retry_after=1.5
        )
    if text == "hang":
        await asyncio.sleep(60)
    return StringValue(value=f"{CALLER.get()}:{text}")


OPTIONAL = access_pb2.Access(token=access_pb2.TOKEN_USE_OPTIONAL, kinds=[access_pb2.TOKEN_KIND_ACCOUNT])
define_service(dict.fromkeys(KINDS, OPTIONAL), "Echo")


class Echo:
    """A service with one method of each kind."""

    async def unary_unary(self, request: StringValue, _context: Context) -> StringValue:
        return await behave(request.value)

    async def unary_stream(self, request: StringValue, _context: Context) -> AsyncIterator[StringValue | bytes]:
        answer = await behave(request.value)
        yield answer.SerializeToString() if request.value == "encoded" else answer

    async def stream_unary(self, requests: AsyncIterator[StringValue], _context: Context) -> StringValue:
        return await behave(" ".join([request.value async for request in requests]))

    async def stream_stream(
        self, requests: AsyncIterator[StringValue], _context: Context
    ) -> AsyncIterator[StringValue]:
        async for request in requests:
            yield await behave(request.value)


def register_echo(server: aio.Server) -> None:
    echo = Echo()
    handlers = {
        kind: getattr(grpc, f"{kind}_rpc_method_handler")(
            getattr(echo, kind), StringValue.FromString, StringValue.SerializeToString
        )
        for kind in KINDS
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))


CREATE = "/parley.meeting.v1.MeetingService/CreateMeeting"


async def create_meeting(
    request: meeting_service_pb2.CreateMeetingRequest, _context: Context
) -> meeting_service_pb2.CreateMeetingResponse:
    return meeting_service_pb2.CreateMeetingResponse(meeting=request.meeting)


def register_meetings(server: aio.Server) -> None:
    handler = grpc.unary_unary_rpc_method_handler(
        create_meeting,
        meeting_service_pb2.CreateMeetingRequest.FromString,
        meeting_service_pb2.CreateMeetingResponse.SerializeToString,
    )
    service, method = CREATE[1:].split("/")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))


class Door:
    """Takes every token for an account's but `bad`."""

    def nobody(self, peer: str) -> str:
        del peer
        return "nobody"

    def verify(self, token: str, peer: str) -> tuple[str, Holder]:
        del peer
        if token == "bad":
            raise ServiceError(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID", "No.")
        return token, Holder(access_pb2.TOKEN_KIND_ACCOUNT)

    async def confirm(self, caller: str) -> None:
        if caller == "revoked":
            raise ServiceError(grpc.StatusCode.UNAUTHENTICATED, "SESSION_REVOKED", "No.")


def chain(buckets: TokenBuckets | None = None, limit: float = 30.0) -> list[aio.ServerInterceptor]:
    return [
        OneMessageInterceptor(),
        TelemetryInterceptor(),
        ErrorMapInterceptor(lambda _exception: None),
        DeadlineInterceptor(limit),
        RateLimitInterceptor(buckets or TokenBuckets(1000, 1000), lambda call: call.peer),
        AuthInterceptor(Door(), CALLER),
        ValidateInterceptor(),
        EncodedInterceptor(),
    ]


@asynccontextmanager
async def serving(
    interceptors: list[aio.ServerInterceptor] | None = None, token: str = ""
) -> AsyncIterator[aio.Channel]:
    services = [
        Service("test.Echo", register_echo),
        Service("parley.meeting.v1.MeetingService", register_meetings),
    ]
    server = GrpcServer(services, interceptors=chain() if interceptors is None else interceptors)
    port = await server.start("127.0.0.1:0")
    channel = open_channel(f"127.0.0.1:{port}", bearer_token=token)
    try:
        yield channel
    finally:
        await channel.close()
        await server.drain(0)


async def call(channel: aio.Channel, kind: str, text: str, *, wait: float = 5.0) -> str:
    make: Callable[..., Any] = getattr(channel, kind)
    method = make(f"/test.Echo/{kind}", StringValue.SerializeToString, StringValue.FromString)
    message = StringValue(value=text)
    under_way = method(iter([message]) if kind.startswith("stream") else message, timeout=wait)
    if kind.endswith("unary"):
        return str((await under_way).value)
    return " ".join([response.value async for response in under_way])


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_is_served_and_knows_its_caller(kind: str) -> None:
    async with serving(token="ada") as channel:
        assert await call(channel, kind, "hello") == "ada:hello"


async def test_a_stream_may_yield_responses_that_are_encoded_already() -> None:
    async with serving(token="ada") as channel:
        assert await call(channel, "unary_stream", "encoded") == "ada:encoded"


@pytest.mark.parametrize("kind", KINDS)
async def test_text_of_an_exception_never_leaves(kind: str) -> None:
    async with serving() as channel:
        with pytest.raises(aio.AioRpcError) as raised:
            await call(channel, kind, "crash")
    error = read_error(raised.value)
    everything = f"{raised.value.debug_error_string()}{raised.value.trailing_metadata()}{error}"
    assert SECRET not in everything
    assert "RuntimeError" not in everything
    assert (error.code, error.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert error.metadata["error_id"] in error.message


@pytest.mark.parametrize("kind", KINDS)
async def test_a_service_error_arrives_whole(kind: str) -> None:
    async with serving() as channel:
        with pytest.raises(aio.AioRpcError) as raised:
            await call(channel, kind, "refuse")
    error = read_error(raised.value)
    assert (error.code, error.reason, error.message) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH", "Read it again.")
    assert error.metadata == {"etag": "7"}
    assert error.retry_after == 1.5


@pytest.mark.parametrize(("token", "reason"), [("bad", "TOKEN_INVALID"), ("revoked", "SESSION_REVOKED")])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_bad_token_ends_the_call(kind: str, token: str, reason: str) -> None:
    async with serving(token=token) as channel:
        with pytest.raises(aio.AioRpcError) as raised:
            await call(channel, kind, "hello")
    assert read_error(raised.value).reason == reason


async def test_the_callers_deadline_ends_the_work() -> None:
    async with serving() as channel:
        with pytest.raises(aio.AioRpcError) as raised:
            await call(channel, "unary_unary", "hang", wait=0.2)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_the_servers_own_limit_has_a_reason() -> None:
    async with serving(chain(limit=0.1)) as channel:
        with pytest.raises(aio.AioRpcError) as raised:
            await call(channel, "unary_unary", "hang")
    assert read_error(raised.value).reason == "DEADLINE_EXCEEDED"


async def test_an_address_beyond_its_rate_is_told_when_to_come_back() -> None:
    async with serving(chain(TokenBuckets(0.5, 2))) as channel:
        await call(channel, "unary_unary", "one")
        await call(channel, "unary_unary", "two")
        with pytest.raises(aio.AioRpcError) as raised:
            await call(channel, "unary_unary", "three")
    error = read_error(raised.value)
    assert error.reason == "RATE_LIMITED"
    assert error.retry_after is not None
    assert 0 < error.retry_after <= 2


async def test_a_call_beyond_the_rate_is_refused_before_it_is_authenticated() -> None:
    """Authentication costs more than the limit's look at an address."""
    async with serving(chain(TokenBuckets(0.5, 1)), token="bad") as channel:
        reasons = []
        for _ in range(2):
            with pytest.raises(aio.AioRpcError) as raised:
                await call(channel, "unary_unary", "one")
            reasons.append(read_error(raised.value).reason)
    assert reasons == ["TOKEN_INVALID", "RATE_LIMITED"]


@pytest.mark.parametrize(("token", "reason"), [("", "INVALID_ARGUMENT"), ("bad", "TOKEN_INVALID")])
@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
async def test_a_call_that_ends_without_its_message_is_refused(kind: str, token: str, reason: str) -> None:
    """HTTP-2: gRPC itself would leave the caller waiting."""
    async with serving(token=token) as channel:
        # A stream of no messages is what such a request looks like.
        opened: Any = channel.stream_stream(f"/test.Echo/{kind}")
        with pytest.raises(aio.AioRpcError) as raised:
            async for _ in opened(iter(())):
                pass
    assert read_error(raised.value).reason == reason


async def test_a_pattern_is_said_in_words() -> None:
    request = meeting_service_pb2.CreateMeetingRequest(meeting=meeting_pb2.Meeting(passcode="no spaces"))
    async with serving(token="ada") as channel:
        with pytest.raises(aio.AioRpcError) as raised:
            await meeting_service_pb2_grpc.MeetingServiceStub(channel).CreateMeeting(request)
    [violation] = read_error(raised.value).field_violations
    assert violation.description == "is not of the form that the contract asks for"


@pytest.mark.parametrize(
    ("pattern", "form"),
    [
        ("^meetings/[1-9][0-9]{10}$", "meetings/{meeting}"),
        ("^users/[0-9a-f-]{36}/sessions/[0-9a-f-]{36}$", "users/{user}/sessions/{session}"),
        ("^[a-z0-9-]{0,32}$", ""),
    ],
)
def test_the_pattern_of_a_name_is_told_as_the_contracts_write_it(pattern: str, form: str) -> None:
    assert form_of(pattern) == form


async def test_broken_rules_name_their_fields() -> None:
    request = meeting_service_pb2.CreateMeetingRequest(
        meeting=meeting_pb2.Meeting(
            topic="x" * 201, settings=meeting_pb2.MeetingSettings(max_participants=1), passcode="no spaces"
        ),
        request_id="not a uuid",
    )
    async with serving(token="ada") as channel:
        with pytest.raises(aio.AioRpcError) as raised:
            await meeting_service_pb2_grpc.MeetingServiceStub(channel).CreateMeeting(request)
    error = read_error(raised.value)
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
    assert {each.field for each in error.field_violations} == {
        "meeting.topic",
        "meeting.passcode",
        "meeting.settings.max_participants",
        "request_id",
    }


async def raw_create(channel: aio.Channel, data: bytes) -> None:
    method = channel.unary_unary(CREATE, lambda raw: raw, lambda raw: raw)
    await method(data)


async def test_bytes_that_are_no_message_are_an_invalid_argument() -> None:
    async with serving(token="ada") as channel:
        with pytest.raises(aio.AioRpcError) as raised:
            await raw_create(channel, b"\xff\xff\xff")
    assert read_error(raised.value).reason == "INVALID_ARGUMENT"
    assert "Error" not in read_error(raised.value).message


@pytest.mark.parametrize(("token", "reason"), [("bad", "TOKEN_INVALID"), ("", "TOKEN_MISSING")])
async def test_who_may_not_call_learns_nothing_about_the_request(token: str, reason: str) -> None:
    async with serving(token=token) as channel:
        with pytest.raises(aio.AioRpcError) as raised:
            await raw_create(channel, b"\xff\xff\xff")
    assert read_error(raised.value).reason == reason


async def test_a_call_belongs_to_its_callers_trace(spans: InMemorySpanExporter) -> None:
    async with serving() as channel:
        with trace.get_tracer("test").start_as_current_span("click") as click:
            await call(channel, "unary_unary", "hello")
    by_kind = {span.kind: span for span in spans.get_finished_spans()}
    server, client = by_kind[trace.SpanKind.SERVER], by_kind[trace.SpanKind.CLIENT]
    assert server.context is not None
    assert server.context.trace_id == click.get_span_context().trace_id
    assert server.parent is not None
    assert client.context is not None
    assert server.parent.span_id == client.context.span_id
    assert server.name == "test.Echo/unary_unary"


async def test_a_drain_says_so_and_lets_calls_end() -> None:
    told = asyncio.Event()

    async def hook() -> None:
        told.set()

    server = GrpcServer([Service("test.Echo", register_echo)], interceptors=chain())
    server.on_drain(hook)
    port = await server.start("127.0.0.1:0")
    async with open_channel(f"127.0.0.1:{port}") as channel:
        assert await call(channel, "unary_unary", "hello") == "nobody:hello"
        await server.drain(1)
        assert told.is_set()
        with pytest.raises(aio.AioRpcError) as raised:
            await call(channel, "unary_unary", "hello", wait=2)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_port_in_use_is_one_clear_sentence() -> None:
    first = GrpcServer([Service("test.Echo", register_echo)], interceptors=[])
    second = GrpcServer([Service("test.Echo", register_echo)], interceptors=[])
    port = await first.start("127.0.0.1:0")
    try:
        with pytest.raises(AddressInUseError, match=f"127.0.0.1:{port}"):
            await second.start(f"127.0.0.1:{port}")
    finally:
        await first.drain(0)
        await second.drain(0)


@pytest.fixture(scope="session")
def span_memory() -> InMemorySpanExporter:
    """Spans of this process; the provider can be set once only."""
    memory = InMemorySpanExporter()
    current = trace.get_tracer_provider()
    if not isinstance(current, TracerProvider):
        current = TracerProvider()
        trace.set_tracer_provider(current)
    current.add_span_processor(SimpleSpanProcessor(memory))
    return memory


@pytest.fixture
def spans(span_memory: InMemorySpanExporter) -> InMemorySpanExporter:
    span_memory.clear()
    return span_memory
