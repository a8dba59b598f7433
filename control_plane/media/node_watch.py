"""Listens to media nodes: one replica to each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from control_plane.kernel.errors import DomainError, ErrorKind
from control_plane.log.position import NodePosition
from control_plane.media.consumers import ConsumerLeases
from control_plane.media.node_events import NodeEventApplier
from control_plane.nodes.control import (
    MediaNodes,
    NodeHappening,
    NodeMessage,
    NodeRoom,
    NodeUnreachableError,
    RoomNotServedError,
    WatchStarted,
)
from control_plane.nodes.liveness import Liveness
from control_plane.nodes.model import NodeStatus
from control_plane.nodes.registry import NodeRegistry
from control_plane.platform.background import stay_alive
from control_plane.platform.observer import Observer
from control_plane.platform.quarantine import Quarantine
from control_plane.platform.replicas import Replicas, Share
from control_plane.platform.set_aside import RecordKind

_log = structlog.get_logger(__name__)
_SAVE_EVERY: Final = 0.5
_TASK: Final = "node event stream"
_RETRY_FIRST: Final = 0.1
_RETRY_MOST: Final = 1.0


class NodeEventConsumers:
    """Listens to the nodes of this replica's share, and to those that nobody else listens to."""

    def __init__(
        self,
        registry: NodeRegistry,
        leases: ConsumerLeases,
        nodes: MediaNodes,
        liveness: Liveness,
        applier: NodeEventApplier,
        quarantine: Quarantine,
        observer: Observer,
        replicas: Replicas,
        share: Share,
    ) -> None:
        self._registry = registry
        self._leases = leases
        self._nodes = nodes
        self._liveness = liveness
        self._applier = applier
        self._quarantine = quarantine
        self._observer = observer
        self._replicas = replicas
        self._share = share
        self._adopted: set[str] = set()
        self._changes = replicas.changes
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def tend(self) -> None:
        """Starts, renews and ends listening; to be called more often than leases run out."""
        serving = {
            (node.registration.node_id, node.registration.control_address): node
            for node in await self._registry.nodes()
            if node.state.serves
        }
        for key in [key for key in self._tasks if key not in serving]:
            await self._stop(key)
        wanted = await self._wanted([node_id for node_id, _ in serving])
        for key, node in serving.items():
            if key[0] not in wanted:
                await self._hand_over(key)
            elif not await self._leases.hold(key[0]):
                await self._stop(key)
            elif key not in self._tasks or self._tasks[key].done():
                self._tasks[key] = asyncio.create_task(self._listen(node), name=f"events of {key[0]}")

    async def _wanted(self, node_ids: Sequence[str]) -> set[str]:
        """Returns the nodes to listen to. One that was found without a listener is kept until replicas come or go."""
        if self._changes != self._replicas.changes:
            self._changes = self._replicas.changes
            self._adopted.clear()
        free = await self._leases.free(node_ids)
        self._adopted.update(self._share.take(free, len(free)))
        return {node_id for node_id in node_ids if node_id in self._adopted or self._replicas.mine(node_id)}

    async def _hand_over(self, key: tuple[str, str]) -> None:
        """Ends listening to a node that another replica's share has now."""
        if key in self._tasks:
            await self._stop(key)
            await self._leases.let_go(key[0])

    async def stop(self) -> None:
        """Ends listening and gives the leases back."""
        for key in list(self._tasks):
            await self._stop(key)
            try:
                await self._leases.let_go(key[0])
            except DomainError:
                _log.info("consumer lease not given back, it runs out", node=key[0])

    async def _stop(self, key: tuple[str, str]) -> None:
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _listen(self, node: NodeStatus) -> None:
        who = node.registration
        retry, faults = _RETRY_FIRST, 0
        while True:
            stay_alive()
            try:
                position = await self._leases.position(who.node_id)
                retry = await self._follow(who.node_id, who.control_address, position) or retry
            except NodeUnreachableError:
                await self._probe(node)
            except (DomainError, RoomNotServedError) as error:
                _log.info("events of a node interrupted", node=who.node_id, error=str(error))
            except Exception as error:  # noqa: BLE001 -- listening outlives its faults
                faults += 1
                self._observer.task_failed(_TASK, type(error).__name__)
                if faults == 1:
                    _log.exception("events of a node interrupted", node=who.node_id)
            else:
                faults = 0
            await asyncio.sleep(retry)
            retry = min(_RETRY_MOST, retry * 2)

    async def _probe(self, node: NodeStatus) -> None:
        who = node.registration
        try:
            await self._liveness.stream_broken(who.node_id, who.instance_id, who.control_address)
        except DomainError as error:
            _log.info("node not probed", node=who.node_id, reason=error.reason)

    async def _follow(self, node_id: str, address: str, position: NodePosition | None) -> float:
        """Applies events until the stream ends; returns the pause before the next."""
        saved = asyncio.get_running_loop().time()
        latest, in_state = position, False
        try:
            async for message in self._nodes.watch(address, position):
                latest = await self._apply(node_id, address, message, latest)
                in_state = _in_state(message, before=in_state)
                now = asyncio.get_running_loop().time()
                if latest is not None and not in_state and now - saved > _SAVE_EVERY:
                    await self._leases.save(node_id, latest)
                    saved = now
        finally:
            if latest is not None and not in_state and latest != position:
                await self._leases.save(node_id, latest)
        return _RETRY_FIRST

    async def _apply(
        self, node_id: str, address: str, message: NodeMessage, latest: NodePosition | None
    ) -> NodePosition | None:
        """Applies a message; one that can't be applied is passed over, since it would come again for ever."""
        try:
            return await self._applier.apply(node_id, address, message, latest)
        except (NodeUnreachableError, RoomNotServedError):
            raise
        except Exception as error:  # whatever is wrong with this one, the others follow
            if isinstance(error, DomainError) and error.kind is ErrorKind.UNAVAILABLE:
                raise
            self._quarantine.note(RecordKind.NODE_EVENT, node_id, error)
            return message.position if isinstance(message, NodeHappening) else latest


def _in_state(message: NodeMessage, *, before: bool) -> bool:
    """Whether rooms of a node's state may still follow: a stream that breaks off here has to begin with them again."""
    if isinstance(message, WatchStarted):
        return message.from_state
    return before and isinstance(message, NodeRoom)
