"""A gRPC server as Parley runs it: an interceptor chain, reflection, health, and a drain that loses no call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from grpc_kit.interceptors.base import CallInterceptor

log = structlog.get_logger(__name__)

Hook = Callable[[], Awaitable[None]]

# Pings go out each 30 s and may come each 10 s, so a client with the channel's settings is never refused. A connection
# is made anew each hour, so that load spreads over replicas that came later; its streams have five minutes to move.
SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_connection_age_ms", 3_600_000),
    ("grpc.max_connection_age_grace_ms", 300_000),
    ("grpc.max_receive_message_length", 1_048_576),
    # Between the two a call is refused by chance; the gateway takes half of the first, and adds some headers itself.
    ("grpc.max_metadata_size", 32_768),
    ("grpc.absolute_max_metadata_size", 65_536),
    ("grpc.so_reuseport", 0),  # two processes on one port would share callers by chance: fail instead
)


class AddressInUseError(Exception):
    """The address to listen on can't be had."""

    def __init__(self, address: str) -> None:
        super().__init__(f"Can't listen on {address}: the port is in use, or the address is not this machine's.")


@dataclass(frozen=True, slots=True)
class Service:
    """A service to be served.

    Attributes:
        name: Full name, `parley.meeting.v1.MeetingService`.
        register: Adds the servicer to a server, by the generated `add_..._to_server`.
    """

    name: str
    register: Callable[[aio.Server], None]


class _Health(health.aio.HealthServicer):  # type: ignore[misc]  # it carries no types
    """The health service, with the method that shows all there is."""

    async def List(  # noqa: N802 - as the contract names it
        self,
        _request: health_pb2.HealthListRequest,
        _context: aio.ServicerContext[Any, Any],
    ) -> health_pb2.HealthListResponse:
        statuses = {name: health_pb2.HealthCheckResponse(status=status) for name, status in self._server_status.items()}
        return health_pb2.HealthListResponse(statuses=statuses)


class GrpcServer:
    """A server from its start to the end of its drain."""

    def __init__(
        self,
        services: Sequence[Service],
        *,
        interceptors: Sequence[aio.ServerInterceptor],
        options: Sequence[tuple[str, Any]] = (),
    ) -> None:
        """Build the server.

        Args:
            services: What it serves, besides reflection and health.
            interceptors: The chain, outermost first.
            options: Channel arguments that replace or add to `SERVER_OPTIONS`.

        Raises:
            AccessError: The contract of a service doesn't say who may call it.
        """
        names = [*(service.name for service in services), health.SERVICE_NAME, reflection.SERVICE_NAME]
        for interceptor in interceptors:
            if isinstance(interceptor, CallInterceptor):
                interceptor.bind(names)
        merged = dict(SERVER_OPTIONS) | dict(options)
        self._server = aio.server(interceptors=list(interceptors), options=list(merged.items()))
        self._services = services
        self._health = _Health()
        self._unhealthy: set[str] = set()
        self._hooks: list[Hook] = []
        for service in services:
            service.register(self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(names, self._server)

    def on_drain(self, hook: Hook) -> None:
        """Run `hook` at a drain, before streams are cut: it tells long-lived streams to go away."""
        self._hooks.append(hook)

    async def set_health(self, name: str, *, healthy: bool) -> None:
        """Say by `grpc.health.v1` how something is that this process does; the empty name is the whole server.

        Once a drain has begun, everything stays NOT_SERVING.
        """
        serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
        (self._unhealthy.discard if healthy else self._unhealthy.add)(name)
        await self._health.set(name, serving if healthy else not_serving)

    async def start(self, address: str) -> int:
        """Listen and serve.

        Args:
            address: `host:port`; port 0 takes a free one.

        Returns:
            The port that was bound.

        Raises:
            AddressInUseError: The address can't be had.
        """
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise AddressInUseError(address) from error
        if port == 0:
            raise AddressInUseError(address)
        await self._server.start()
        for name in ("", *(service.name for service in self._services)):
            await self.set_health(name, healthy=name not in self._unhealthy)
        return port

    async def drain(self, grace_seconds: float = 10.0) -> None:
        """Stop without losing a call: NOT_SERVING, then go-away hooks, then no new calls, then the end of the old ones.

        Args:
            grace_seconds: How long calls under way may take; what is left then is cut.
        """
        await self._health.enter_graceful_shutdown()
        results = await asyncio.gather(*(hook() for hook in self._hooks), return_exceptions=True)
        for failure in (result for result in results if isinstance(result, BaseException)):
            log.warning("server.drain_hook_failed", error=type(failure).__name__)
        await self._server.stop(grace_seconds)
