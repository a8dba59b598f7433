"""Envoy with its real configuration; in the control plane's place, a gRPC server whose answers the test decides."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from grpc import aio

from gateway.envoy import bootstrap
from gateway.settings import GatewaySettings
from grpc_kit.errors import ServiceError
from grpc_kit.interceptors import ErrorMapInterceptor
from grpc_kit.server import GrpcServer, Service
from parley.identity.v1 import identity_service_pb2 as identity
from parley.identity.v1 import identity_service_pb2_grpc as identity_grpc
from parley.meeting.v1 import meeting_service_pb2 as meeting
from parley.meeting.v1 import meeting_service_pb2_grpc as meeting_grpc
from parley.signaling.v1 import signaling_service_pb2 as signaling
from parley.signaling.v1 import signaling_service_pb2_grpc as signaling_grpc
from parley_cli.parts import EnvoyPart, PythonPart
from parley_cli.ports import free_port
from tests.support.transports import Grpc, GrpcWeb, Rest, Transport

Context = aio.ServicerContext[Any, Any]

PAGE = "<!doctype html><title>Parley</title>"


@dataclass
class Upstream:
    """Remembers calls and answers with an error if the test sets one."""

    address: str
    error: ServiceError | None = None
    calls: list[tuple[Any, dict[str, str | bytes]]] = field(default_factory=list)
    _server: GrpcServer | None = None

    async def start(self) -> None:
        services = [
            Service(
                "parley.identity.v1.IdentityService",
                lambda server: identity_grpc.add_IdentityServiceServicer_to_server(_Identity(self), server),
            ),
            Service(
                "parley.meeting.v1.MeetingService",
                lambda server: meeting_grpc.add_MeetingServiceServicer_to_server(_Meeting(self), server),
            ),
            Service(
                "parley.signaling.v1.SignalingService",
                lambda server: signaling_grpc.add_SignalingServiceServicer_to_server(_Signaling(self), server),
            ),
        ]
        self._server = GrpcServer(services, interceptors=[ErrorMapInterceptor(lambda _error: None)])
        await self._server.start(self.address)

    async def stop(self) -> None:
        if self._server:
            await self._server.drain(0)
        self._server = None

    def note(self, request: Any, context: Context) -> None:
        self.calls.append((request, dict(context.invocation_metadata() or ())))
        if self.error:
            raise self.error


class _Identity(identity_grpc.IdentityServiceServicer):
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def SignIn(self, request: identity.SignInRequest, context: Context) -> identity.SignInResponse:
        self._upstream.note(request, context)
        response = identity.SignInResponse()
        response.user.display_name = request.email
        return response


class _Meeting(meeting_grpc.MeetingServiceServicer):
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def ListMeetings(
        self, request: meeting.ListMeetingsRequest, context: Context
    ) -> meeting.ListMeetingsResponse:
        self._upstream.note(request, context)
        return meeting.ListMeetingsResponse(next_page_token=request.page_token)

    async def GetMeeting(self, request: meeting.GetMeetingRequest, context: Context) -> meeting.GetMeetingResponse:
        self._upstream.note(request, context)
        response = meeting.GetMeetingResponse()
        response.meeting.name = request.name
        return response


class _Signaling(signaling_grpc.SignalingServiceServicer):
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def WatchSession(
        self, request: signaling.WatchSessionRequest, context: Context
    ) -> AsyncIterator[signaling.WatchSessionResponse]:
        self._upstream.note(request, context)
        for sequence in (1, 2, 3):
            yield signaling.WatchSessionResponse(sequence=sequence)


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
    environment = {"PARLEY_STATIC_ADDRESS": settings.static_address, "PARLEY_WEB_ROOT": str(web)}
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
