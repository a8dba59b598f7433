"""Registers the node with the control plane and reports its load, for ever; media does not depend on it."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from grpc import aio

from media_plane.node.agent import Agent
from media_plane.node.converters import room_id
from media_plane.node.faults import outlived
from media_plane.node.load import Load
from parley.node.v1 import node_service_pb2 as pb
from parley.node.v1.node_service_pb2_grpc import NodeServiceStub

log = structlog.get_logger(__name__)

SHORTEST_BACK_OFF: Final = 0.1
LONGEST_BACK_OFF: Final = 5.0
_DEFAULT_INTERVAL: Final = 2.0
_CONFIGURATION_SECONDS: Final = 10.0
"""How long the control plane may take for its first message."""


def back_off(attempt: int, uniform: Callable[[float, float], float] = random.uniform) -> float:
    """Return how long to wait before another attempt: 0.1 to 5 s, jittered, growing with the attempts that failed."""
    ceiling = min(LONGEST_BACK_OFF, SHORTEST_BACK_OFF * 2.0 ** min(attempt, 16))
    return uniform(SHORTEST_BACK_OFF, max(SHORTEST_BACK_OFF, ceiling))


@dataclass(frozen=True, slots=True)
class Description:
    """What a registration says that does not change."""

    node: str
    instance_id: str
    region: str
    version: str
    control_address: str
    session_capacity: int
    cpu_cores: int


class Reporter:
    """Keeps one Report stream to the control plane open and obeys its commands."""

    def __init__(
        self,
        *,
        channels: Sequence[aio.Channel],
        description: Description,
        load: Load,
        agent: Agent,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """Build a reporter.

        Args:
            channels: To the processes of the control plane; carry the node token. Each attempt takes the next one.
            description: What the registration says.
            load: What the reports say.
            agent: Obeys commands.
            uniform: Where the jitter of the back-off comes from.
        """
        self._stubs = itertools.cycle([NodeServiceStub(channel) for channel in channels])
        self._description = description
        self._load = load
        self._agent = agent
        self._uniform = uniform
        self._ending = asyncio.Event()
        self._deadline: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Report until `say_goodbye`."""
        attempt = 0
        while not self._ending.is_set():
            stream = _Stream(self._description, self._load, self._agent, self._ending)
            try:
                await self._converse(stream)
            except (aio.AioRpcError, TimeoutError) as error:
                code = error.code().name if isinstance(error, aio.AioRpcError) else "DEADLINE_EXCEEDED"
                log.info("report.stream_ended", code=code, attempt=attempt)
            except asyncio.CancelledError as error:
                # A fault in what is sent cancels the call, and looks like this; only a cancellation of the task is one.
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                outlived("report", error)
            except Exception as error:  # noqa: BLE001 -- a node that reports no more is lost to everybody
                outlived("report", error)
            attempt = 0 if stream.is_configured else attempt + 1
            await self._wait(back_off(attempt, self._uniform))

    async def say_goodbye(self) -> None:
        """Say that the node ends in good order, and report no more."""
        self._ending.set()
        if self._deadline is not None:
            self._deadline.cancel()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._ending.wait()
        except TimeoutError:
            return

    async def _converse(self, stream: _Stream) -> None:
        call = next(self._stubs).Report(stream.requests())
        try:
            async with asyncio.timeout(_CONFIGURATION_SECONDS):
                first = await call.read()
            while isinstance(first, pb.ReportResponse):
                self._obey(stream, first)
                first = await call.read()
        finally:
            call.cancel()

    def _obey(self, stream: _Stream, response: pb.ReportResponse) -> None:
        kind = response.WhichOneof("message")
        if kind == "configuration":
            stream.configure(response.configuration)
        elif kind == "drain":
            self._drain(response.drain)
        elif kind == "fence_room":
            fence = response.fence_room
            log.info("report.fenced", room=fence.room, epoch=fence.epoch)
            self._agent.fence_room(room_id(fence.room), fence.epoch)

    def _drain(self, command: pb.Drain) -> None:
        log.info("report.drain", has_deadline=command.HasField("deadline"))
        self._agent.drain()
        if command.HasField("deadline"):
            loop = asyncio.get_running_loop()
            delay = max(0.0, command.deadline.ToNanoseconds() / 1e9 - self._agent.now_unix_nano() / 1e9)
            if self._deadline is not None:
                self._deadline.cancel()
            self._deadline = loop.call_later(delay, self._agent.close_all_rooms)


class _Stream:
    """One stream's requests."""

    def __init__(self, description: Description, load: Load, agent: Agent, ending: asyncio.Event) -> None:
        self._description = description
        self._load = load
        self._agent = agent
        self._ending = ending
        self._configured = asyncio.Event()
        self._interval = _DEFAULT_INTERVAL
        self._sequence = 0

    @property
    def is_configured(self) -> bool:
        """Whether the control plane has answered."""
        return self._configured.is_set()

    def configure(self, configuration: pb.ReportConfiguration) -> None:
        """Report as told."""
        self._interval = configuration.report_interval.ToNanoseconds() / 1e9 or _DEFAULT_INTERVAL
        self._configured.set()

    async def requests(self) -> AsyncIterator[pb.ReportRequest]:
        """The registration, reports at the interval, and goodbye."""
        yield self._number(pb.ReportRequest(registration=self._registration()))
        await self._configured.wait()
        while not self._ending.is_set():
            self._agent.retry_closings()
            yield self._number(pb.ReportRequest(load_report=self._load.report()))
            try:
                async with asyncio.timeout(self._interval):
                    await self._ending.wait()
            except TimeoutError:
                continue
        yield self._number(pb.ReportRequest(goodbye=pb.Goodbye()))

    def _number(self, request: pb.ReportRequest) -> pb.ReportRequest:
        self._sequence += 1
        request.sequence = self._sequence
        request.time.FromNanoseconds(self._agent.now_unix_nano())
        return request

    def _registration(self) -> pb.Registration:
        return pb.Registration(
            node=self._description.node,
            instance_id=self._description.instance_id,
            region=self._description.region,
            version=self._description.version,
            control_address=self._description.control_address,
            session_capacity=self._description.session_capacity,
            cpu_cores=self._description.cpu_cores,
            rooms=self._load.leases(),
            draining=self._agent.is_draining,
        )
