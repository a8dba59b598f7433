"""Envoy with its real configuration; in the control plane's place, a gRPC server whose answers the test decides."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc import aio

from gateway.envoy import bootstrap
from gateway.settings import GatewaySettings
from grpc_kit.errors import ServiceError
from grpc_kit.interceptors import ErrorMapInterceptor, OneMessageInterceptor
from grpc_kit.interceptors.one_message import NoMessage
from grpc_kit.server import GrpcServer, Service
from parley.identity.v1 import identity_service_pb2 as identity
from parley.meeting.v1 import meeting_service_pb2 as meeting
from parley.signaling.v1 import signaling_service_pb2 as signaling
from parley_cli.parts import EnvoyPart, PythonPart
from parley_cli.ports import free_port
from tests.support.transports import Grpc, GrpcWeb, Rest, Transport, method

Context = aio.ServicerContext[Any, Any]

PAGE = "<!doctype html><title>Parley</title>"


@dataclass
class Upstream:
    """Remembers calls and answers with an error if the test sets one."""

    address: str
    error: ServiceError | None = None
    calls: list[tuple[Message, dict[str, str | bytes]]] = field(default_factory=list)
    _server: GrpcServer | None = None

    async def start(self) -> None:
        methods: dict[str, Callable[..., Any]] = {
            "IdentityService.SignIn": self._sign_in,
            "MeetingService.ListMeetings": self._list_meetings,
            "MeetingService.GetMeeting": self._get_meeting,
            "SignalingService.WatchSession": self._watch_session,
        }
        services = [_service(method(name), answer) for name, answer in methods.items()]
        self._server = GrpcServer(
            services, interceptors=[OneMessageInterceptor(), ErrorMapInterceptor(lambda _error: None)]
        )
        await self._server.start(self.address)

    async def stop(self) -> None:
        if self._server:
            await self._server.drain(0)
        self._server = None

    def _note(self, request: Message, context: Context) -> None:
        if isinstance(request, NoMessage):
            raise ServiceError(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", "There is no message.")
        self.calls.append((request, dict(context.invocation_metadata() or ())))
        if self.error:
            raise self.error

    async def _sign_in(self, request: identity.SignInRequest, context: Context) -> identity.SignInResponse:
        self._note(request, context)
        response = identity.SignInResponse()
        response.user.display_name = request.email
        return response

    async def _list_meetings(
        self, request: meeting.ListMeetingsRequest, context: Context
    ) -> meeting.ListMeetingsResponse:
        self._note(request, context)
        return meeting.ListMeetingsResponse(next_page_token=request.page_token)

    async def _get_meeting(self, request: meeting.GetMeetingRequest, context: Context) -> meeting.GetMeetingResponse:
        self._note(request, context)
        response = meeting.GetMeetingResponse()
        response.meeting.name = request.name
        return response

    async def _watch_session(
        self, request: signaling.WatchSessionRequest, context: Context
    ) -> AsyncIterator[signaling.WatchSessionResponse]:
        self._note(request, context)
        for sequence in (1, 2, 3):
            yield signaling.WatchSessionResponse(sequence=sequence)


def _service(rpc: MethodDescriptor, answer: Callable[..., Any]) -> Service:
    """A service of one method: the gateway does not mind which others there are."""
    make = grpc.unary_stream_rpc_method_handler if rpc.server_streaming else grpc.unary_unary_rpc_method_handler
    request, response = GetMessageClass(rpc.input_type), GetMessageClass(rpc.output_type)
    handler = make(answer, request_deserializer=request.FromString, response_serializer=response.SerializeToString)
    name = rpc.containing_service.full_name
    handlers = grpc.method_handlers_generic_handler(name, {rpc.name: handler})
    return Service(name, lambda server: server.add_generic_rpc_handlers((handlers,)))


@dataclass
class Gateway:
    """Envoy, the web client's server and the upstream."""

    settings: GatewaySettings
    envoy: EnvoyPart
    static: PythonPart
    upstream: Upstream
    client: httpx.AsyncClient
    native: Grpc
    log: list[str]

    @property
    def transports(self) -> list[Transport]:
        return [self.native, GrpcWeb(self.client), Rest(self.client)]


@pytest.fixture(scope="session")
async def running_gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    web = folder / "web"
    (web / "assets").mkdir(parents=True)
    (web / "index.html").write_text(PAGE)
    (web / "assets" / "main-1a2b.js").write_text("// nothing\n" * 500)
    upstream = Upstream(f"127.0.0.1:{free_port()}")
    settings = GatewaySettings(
        port=free_port(),
        data_dir=folder,
        control_plane_target=upstream.address,
        static_address=f"127.0.0.1:{free_port()}",
        cors_origins=["https://example.com"],
    )
    log: list[str] = []
    envoy = EnvoyPart(folder, lambda admin: bootstrap(settings, admin), log.append)
    docs = folder / "docs"
    (docs / "engine").mkdir(parents=True)
    (docs / "index.html").write_text("<!doctype html><title>Parley's documentation</title>")
    (docs / "engine" / "index.html").write_text("<!doctype html><title>The engine</title>")
    (docs / "search.json").write_text("{}")
    environment = {
        "PARLEY_STATIC_ADDRESS": settings.static_address,
        "PARLEY_WEB_ROOT": str(web),
        "PARLEY_DOCS_ROOT": str(docs),
    }
    static = PythonPart("static", "gateway.static", environment)
    await upstream.start()
    static.start()
    envoy.start()
    authority = f"127.0.0.1:{settings.port}"
    native = Grpc(authority)
    async with httpx.AsyncClient(base_url=f"http://{authority}") as client:
        yield Gateway(settings, envoy, static, upstream, client, native, log)
    await native.close()
    envoy.stop()
    static.stop()
    await upstream.stop()


@pytest.fixture
async def gateway(running_gateway: Gateway) -> AsyncIterator[Gateway]:
    running_gateway.upstream.calls.clear()
    running_gateway.upstream.error = None
    yield running_gateway
    running_gateway.upstream.error = None
