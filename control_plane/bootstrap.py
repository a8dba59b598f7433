"""Wires a control-plane process: the one place that knows every part. Only the entry point and tests import it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from grpc import aio

from control_plane.application.callers import Caller, CallerKind
from control_plane.domain.address import site
from control_plane.domain.clock import Clock, SystemClock
from control_plane.domain.ids import IdFactory, SystemIds
from control_plane.live_services import live_services
from control_plane.live_wiring import WATCHING_TASK, LiveOptions, LivePart, LiveStores, Surroundings
from control_plane.planning_wiring import PlanningPart
from control_plane.rpc.authenticator import CURRENT_CALLER, TokenAuthenticator, current_caller
from control_plane.rpc.errors import to_service_error
from control_plane.rpc.identity_servicer import IdentityServicer
from control_plane.rpc.meeting_servicer import MeetingServicer
from control_plane.rpc.sfu_client import GrpcMediaNodes
from control_plane.settings import ControlPlaneSettings
from control_plane.telemetry.observer import MetricsObserver, current_traceparent
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
from grpc_kit.server import GrpcServer, Service
from parley.identity.v1 import identity_service_pb2_grpc
from parley.meeting.v1 import meeting_service_pb2_grpc

GRACE_SECONDS = 10.0

Servicer = TypeVar("Servicer")


class Application:
    """A control-plane process from its start to the end of its drain."""

    def __init__(self, settings: ControlPlaneSettings, clock: Clock, ids: IdFactory) -> None:
        """Wire everything; nothing is connected or bound yet.

        Raises:
            SigningKeyError: The signing key can't be used.
        """
        self._address = settings.control_plane_address
        options = LiveOptions(
            settings.redis_url.get_secret_value(),
            turn_uris=tuple(settings.turn_uris),
            turn_secret=settings.turn_secret.get_secret_value(),
        )
        observer = MetricsObserver()
        self._live_stores = LiveStores(options, clock, current_traceparent, observer)
        self._planning = PlanningPart(
            settings,
            clock,
            ids,
            redis=self._live_stores.client,
            presence=self._live_stores.live,
            notices=self._live_stores.live,
            wake_relay=self._live_stores.wake_relay,
            observer=observer,
            quarantine=self._live_stores.quarantine,
        )
        self._nodes = GrpcMediaNodes(settings.node_token.get_secret_value())
        self._live = LivePart(
            self._live_stores,
            Surroundings(
                clock=clock,
                ids=ids,
                directory=self._planning.directory,
                tokens=self._planning.tokens,
                stays=self._planning.stays,
                outbox=self._planning.outbox,
                nodes=self._nodes,
                observer=observer,
            ),
        )
        self._server = GrpcServer(
            [*self._services(), *live_services(self._live, self._live_stores.options.times, settings.public_url)],
            interceptors=_chain(self._planning.authenticator, settings.calls_per_second),
        )
        self._server.on_drain(self._live.drain)
        for tasks in (self._live.tasks, self._planning.tasks):
            tasks.on_health(self._show_health)

    async def start(self) -> int:
        """Serves.

        Returns:
            The port that was bound.

        Raises:
            AddressInUseError: The address can't be had.
        """
        await self._planning.start()
        self._live.start()
        return await self._server.start(self._address)

    async def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Drains and ends: no call that has begun is lost, if it ends within the grace."""
        await self._server.drain(grace_seconds)
        await self._live.stop()
        await self._nodes.close()
        await self._planning.stop()

    async def _show_health(self, task: str, healthy: bool) -> None:  # noqa: FBT001 -- a listener
        """Shows a task's health under a name of its own, and that of the process by what its callers depend on."""
        await self._server.set_health(f"tasks/{task.replace(' ', '-')}", healthy=healthy)
        if task == WATCHING_TASK:
            await self._server.set_health("", healthy=healthy)

    def _services(self) -> list[Service]:
        planning = self._planning
        return [
            _service(
                "parley.identity.v1.IdentityService",
                identity_service_pb2_grpc.add_IdentityServiceServicer_to_server,
                IdentityServicer(planning.identity, planning.meetings, planning.page_tokens),
            ),
            _service(
                "parley.meeting.v1.MeetingService",
                meeting_service_pb2_grpc.add_MeetingServiceServicer_to_server,
                MeetingServicer(planning.meetings, planning.page_tokens),
            ),
        ]


def build(settings: ControlPlaneSettings, *, clock: Clock | None = None, ids: IdFactory | None = None) -> Application:
    """Returns a control plane that is ready to be started.

    Args:
        settings: What it is told.
        clock: The clock; the machine's when none is given.
        ids: The id factory; random when none is given.

    Raises:
        SigningKeyError: The signing key can't be used.
    """
    return Application(settings, clock or SystemClock(), ids or SystemIds())


def _chain(authenticator: TokenAuthenticator, calls_per_second: float) -> list[aio.ServerInterceptor]:
    # By address first, since authentication costs a signature's check and a query; an address may hold many people, so
    # each of them has a limit too.
    per_caller = calls_per_second / 5
    return [
        OneMessageInterceptor(),
        TelemetryInterceptor(),
        ErrorMapInterceptor(to_service_error),
        DeadlineInterceptor(),
        RateLimitInterceptor(TokenBuckets(calls_per_second, 2 * calls_per_second), lambda call: site(call.peer)),
        AuthInterceptor(authenticator, CURRENT_CALLER),
        RateLimitInterceptor(TokenBuckets(per_caller, 2 * per_caller), lambda _call: _person(current_caller())),
        ValidateInterceptor(),
        EncodedInterceptor(),
    ]


def _person(caller: Caller) -> str:
    """Whose calls are counted; the deployment's own parts are not people."""
    return "" if caller.kind in {CallerKind.NODE, CallerKind.OPERATOR} else caller.subject


def _service(name: str, add: Callable[[Servicer, aio.Server], None], servicer: Servicer) -> Service:
    return Service(name, lambda server: add(servicer, server))
