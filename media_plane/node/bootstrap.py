"""Puts a node together from its settings, runs it and takes it down in order."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Final

import grpc
import structlog
from grpc import aio
from prometheus_client import REGISTRY

from grpc_kit.channel import open_channel, split_targets
from grpc_kit.interceptors import (
    AuthInterceptor,
    DeadlineInterceptor,
    ErrorMapInterceptor,
    TelemetryInterceptor,
    ValidateInterceptor,
)
from grpc_kit.process import announce_ready, end_on_signal
from grpc_kit.server import GrpcServer, Service
from grpc_kit.telemetry import Telemetry, TelemetryOptions, start_telemetry
from media_plane._engine import Engine, EngineError
from media_plane.node.agent import Agent
from media_plane.node.announcer import Announcer
from media_plane.node.auth import NodeTokenAuthenticator, caller
from media_plane.node.engine_events import EngineEvents
from media_plane.node.errors import to_service_error
from media_plane.node.event_log import EventLog
from media_plane.node.health import EngineHealth
from media_plane.node.identity import NodeIdentity, load_identity
from media_plane.node.load import Load, LoadCollector
from media_plane.node.reporter import Description, Reporter
from media_plane.node.rooms import Rooms
from media_plane.node.servicer import SfuControlServicer
from media_plane.node.slot_director import SlotDirector
from media_plane.settings import NodeSettings
from parley.sfu.v1 import sfu_control_service_pb2
from parley.sfu.v1.sfu_control_service_pb2_grpc import add_SfuControlServiceServicer_to_server

log = structlog.get_logger(__name__)

_SERVICE: Final = sfu_control_service_pb2.DESCRIPTOR.services_by_name["SfuControlService"].full_name
_CALLS_SECONDS: Final = 5.0
"""How long calls under way may take when the node ends; event streams end by themselves."""
_GOODBYE_SECONDS: Final = 2.0
"""How long the control plane may take to hear that the node ends."""


class StartError(Exception):
    """The node can't start; the message says why in a sentence."""


@dataclass(slots=True)
class Node:
    """A node that runs."""

    settings: NodeSettings
    identity: NodeIdentity
    engine: Engine
    rooms: Rooms
    log: EventLog
    agent: Agent
    events: EngineEvents
    server: GrpcServer
    reporter: Reporter
    channels: Sequence[aio.Channel]
    control_port: int
    reporting: asyncio.Task[None]
    health: asyncio.Task[None]

    @property
    def facts(self) -> Mapping[str, Any]:
        """What is said of the node when it serves."""
        host = self.settings.node_control_address.rpartition(":")[0]
        return {
            "node": self.identity.name,
            "instance_id": self.identity.instance_id,
            "control_address": f"{host}:{self.control_port}",
            "control_port": self.control_port,
            "media_ports": self.engine.ports,
            "media_tcp_ports": self.engine.tcp_ports,
            "metrics_port": self.settings.node_metrics_port,
        }

    async def stop(self) -> None:
        """End in good order: drain, end the sessions with BYE, say goodbye."""
        self.agent.drain()
        await self._wait_for_rooms()
        self.agent.close_all_rooms()
        await self.log.close()
        await self.reporter.say_goodbye()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await self.reporting
        await self.server.drain(grace_seconds=_CALLS_SECONDS)
        self.health.cancel()
        self.events.stop()
        try:
            await asyncio.to_thread(self.engine.stop)
        except EngineError as error:
            log.error("engine.stop_failed", detail=str(error))  # noqa: TRY400 - the engine's threads have no traceback here
        for channel in self.channels:
            await channel.close()

    async def _wait_for_rooms(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.settings.node_drain_seconds):
                while len(self.rooms):
                    await self.log.wait(self.log.sequence, 1.0)


async def start_node(settings: NodeSettings) -> Node:
    """Start a node.

    Raises:
        StartError: A port is taken or the token is missing.
        NodeIdentityError: The data folder can't be used.
        AddressInUseError: The control address is taken.
    """
    token = settings.node_token.get_secret_value()
    if not token:
        message = "PARLEY_NODE_TOKEN is not set: the node needs the secret that it shares with the control plane."
        raise StartError(message)
    identity = load_identity(settings.node_id, settings.data_dir)
    engine = _start_engine(settings)
    rooms, event_log = Rooms(), EventLog()
    announcer = Announcer(event_log)
    director = SlotDirector(engine, announcer)
    agent = Agent(
        engine=engine, rooms=rooms, director=director, announcer=announcer, addresses=settings.announced_addresses
    )
    events = EngineEvents(engine=engine, rooms=rooms, director=director, announcer=announcer)
    servicer = SfuControlServicer(
        agent=agent, rooms=rooms, log=event_log, engine=engine, instance_id=identity.instance_id
    )
    server = _server(servicer, token)
    server.on_drain(event_log.close)
    try:
        port = await server.start(settings.node_control_address)
    except Exception:
        engine.stop()
        raise
    events.start()
    channels = [open_channel(target, bearer_token=token) for target in split_targets(settings.control_plane_target)]
    random.shuffle(channels)  # so that nodes spread over the processes of the control plane
    reporter = Reporter(
        channels=channels,
        description=_description(settings, identity, port),
        load=Load(engine, rooms),
        agent=agent,
    )
    REGISTRY.register(LoadCollector(engine, rooms))
    return Node(
        settings=settings,
        identity=identity,
        engine=engine,
        rooms=rooms,
        log=event_log,
        agent=agent,
        events=events,
        server=server,
        reporter=reporter,
        channels=channels,
        control_port=port,
        reporting=asyncio.create_task(reporter.run(), name="reporter"),
        health=asyncio.create_task(EngineHealth(engine, server).run(), name="engine health"),
    )


def _start_engine(settings: NodeSettings) -> Engine:
    try:
        engine = Engine(
            bind_address=settings.engine_bind_address,
            ports=settings.media_ports,
            tcp_ports=settings.engine_tcp_ports,
            pin_cores=settings.node_pin_cores,
            max_sessions_per_shard=settings.node_sessions_per_shard,
        )
    except OSError as error:
        ports = ", ".join(str(port) for port in settings.media_ports)
        message = f"Can't bind media port {ports} of {settings.engine_bind_address}: {error.strerror or 'it is taken'}."
        raise StartError(message) from error
    engine.start()
    return engine


def _server(servicer: SfuControlServicer, token: str) -> GrpcServer:
    def register(server: aio.Server) -> None:
        add_SfuControlServiceServicer_to_server(servicer, server)

    interceptors: list[grpc.aio.ServerInterceptor] = [
        TelemetryInterceptor(),
        ErrorMapInterceptor(to_service_error),
        DeadlineInterceptor(),
        AuthInterceptor(NodeTokenAuthenticator(token), caller),
        ValidateInterceptor(),
    ]
    return GrpcServer([Service(_SERVICE, register)], interceptors=interceptors)


def _description(settings: NodeSettings, identity: NodeIdentity, port: int) -> Description:
    host = settings.node_control_address.rpartition(":")[0]
    return Description(
        node=identity.name,
        instance_id=identity.instance_id,
        region=settings.region,
        version=version(),
        control_address=settings.node_announced_control_address or f"{host}:{port}",
        session_capacity=settings.node_sessions_per_shard * len(settings.media_ports),
        cpu_cores=len(settings.media_ports),
    )


def version() -> str:
    """Return the version of the installed software."""
    try:
        return metadata.version("parley-server")
    except metadata.PackageNotFoundError:  # run from a source tree
        return "0"


def telemetry(settings: NodeSettings) -> Telemetry:
    """Start logs, traces and metrics of the process."""
    options = TelemetryOptions(
        service_name="parley-node",
        instance=settings.node_id,
        version=version(),
        otlp_endpoint=settings.otlp_endpoint,
        log_format=settings.log_format,
        log_level=settings.log_level,
        metrics_address=settings.metrics_address,
        metrics_port=settings.node_metrics_port,
    )
    try:
        return start_telemetry(options)
    except OSError as error:
        message = f"Can't serve metrics on port {settings.node_metrics_port}: {error.strerror}."
        raise StartError(message) from error


def _fail_on_signals(engine: Engine) -> None:
    """Let SIGUSR1 and SIGUSR2 give the first shard a fault, for drills."""
    engine.allow_faults()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, engine.inject_fault, 0, "panic")
    loop.add_signal_handler(signal.SIGUSR2, engine.inject_fault, 0, "spin")


async def run(settings: NodeSettings) -> None:
    """Run a node until SIGTERM or SIGINT."""
    ending = end_on_signal()
    node = await start_node(settings)
    if settings.node_fault_signals:
        _fail_on_signals(node.engine)
    announce_ready(node.facts)
    await ending.wait()
    log.info("node.stopping")
    await node.stop()
