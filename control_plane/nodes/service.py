"""NodeService.Report: media nodes say who they are and what they do, and are told what to do about it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

import structlog

from control_plane.kernel.errors import DomainError, invalid_argument
from control_plane.nodes.liveness import Liveness
from control_plane.nodes.model import LoadReport, Registration, RoomLease, Timing
from control_plane.nodes.registry import Fence, NodeRegistry, ReportOutcome
from control_plane.platform.background import Background
from control_plane.platform.quarantine import Quarantine
from control_plane.platform.set_aside import RecordKind

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Registered:
    """First message of a stream: who the node is and what it holds."""

    registration: Registration
    rooms: tuple[RoomLease, ...]


@dataclass(frozen=True, slots=True)
class Reported:
    """What the node has done so far, by its own clock."""

    report: LoadReport
    time: datetime | None


@dataclass(frozen=True, slots=True)
class SaidGoodbye:
    """The node ends in good order."""


@dataclass(frozen=True, slots=True)
class Configure:
    """How to report, in seconds."""

    report_interval: float
    lease_duration: float


@dataclass(frozen=True, slots=True)
class DrainNow:
    """Take no new rooms."""


NodeSays = Registered | Reported | SaidGoodbye
NodeIsTold = Configure | DrainNow | Fence


class NodeReports:
    """The use case of a node's stream."""

    def __init__(
        self,
        registry: NodeRegistry,
        liveness: Liveness,
        timing: Timing,
        background: Background,
        quarantine: Quarantine,
    ) -> None:
        self._registry = registry
        self._liveness = liveness
        self._timing = timing
        self._background = background
        self._quarantine = quarantine
        self._closing = asyncio.Event()

    def shut_down(self) -> None:
        """Ends all streams: the nodes open new ones at another replica."""
        self._closing.set()

    async def converse(self, said: AsyncIterator[NodeSays]) -> AsyncIterator[NodeIsTold]:
        """Listens to a node for as long as it lives, and answers.

        Raises:
            DomainError: INVALID_ARGUMENT when it does not say first who it is.
        """
        first = await anext(said, None)
        if not isinstance(first, Registered):
            raise invalid_argument("registration", "has to be the first message of a stream")
        node = _Node(self._registry, self._liveness, self._quarantine, first)
        yield Configure(self._timing.report_interval, self._timing.lease_duration)
        _log.info("media node connected", node=node.node_id, instance=node.instance_id)
        in_order = False
        try:
            for told in await node.heard(first):
                yield told
            while (message := await self._next(said)) is not None:
                in_order = isinstance(message, SaidGoodbye)
                for told in await node.heard(message):
                    yield told
                if in_order or node.superseded:
                    return
        finally:
            if not in_order and not node.superseded and not self._closing.is_set():
                work = self._liveness.stream_broken(node.node_id, node.instance_id, node.address)
                self._background.run("probe media node", work)

    async def _next(self, said: AsyncIterator[NodeSays]) -> NodeSays | None:
        message = asyncio.ensure_future(_following(said))
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({message, closing}, return_when=asyncio.FIRST_COMPLETED)
            return message.result() if message.done() else None
        finally:
            for task in (message, closing):
                task.cancel()


async def _following(said: AsyncIterator[NodeSays]) -> NodeSays | None:
    return await anext(said, None)


class _Node:
    """One stream's node. What it says while the store is away is said again by its next report."""

    def __init__(self, registry: NodeRegistry, liveness: Liveness, quarantine: Quarantine, first: Registered) -> None:
        self._registry = registry
        self._liveness = liveness
        self._quarantine = quarantine
        self._registration = first.registration
        self._registered = False
        self._told_to_drain = first.registration.draining
        self.superseded = False

    @property
    def node_id(self) -> str:
        return self._registration.node_id

    @property
    def instance_id(self) -> str:
        return self._registration.instance_id

    @property
    def address(self) -> str:
        return self._registration.control_address

    async def heard(self, message: NodeSays) -> list[NodeIsTold]:
        """Returns what the node is to be told after it has said something."""
        try:
            return await self._heard(message)
        except DomainError as error:
            _log.warning("node report not stored", node=self.node_id, reason=error.reason)
            return []
        except Exception as error:  # noqa: BLE001 -- the stream goes on: its end would be taken for the node's
            self._quarantine.note(RecordKind.NODE_EVENT, self.node_id, error)
            return []

    async def _heard(self, message: NodeSays) -> list[NodeIsTold]:
        if isinstance(message, SaidGoodbye):
            await self._liveness.said_goodbye(self.node_id, self.instance_id)
            return []
        if isinstance(message, Registered):
            return self._act(await self._register(message.rooms))
        told = [] if self._registered else self._act(await self._register(message.report.rooms))
        try:
            outcome = await self._registry.report(self.node_id, self.instance_id, message.report, message.time)
        except LookupError:
            self._registered = False  # the store lost its data: the node is registered again by its next report
            return told
        return told + self._act(outcome)

    async def _register(self, rooms: tuple[RoomLease, ...]) -> ReportOutcome:
        outcome = await self._registry.register(self._registration, rooms)
        self._registered = True
        return outcome

    def _act(self, outcome: ReportOutcome) -> list[NodeIsTold]:
        self.superseded = self.superseded or outcome.superseded
        if outcome.moved:
            self._liveness.rooms_moved()
        told: list[NodeIsTold] = list(outcome.fences)
        if outcome.draining and not self._told_to_drain:
            self._told_to_drain = True
            told.append(DrainNow())
        return told
