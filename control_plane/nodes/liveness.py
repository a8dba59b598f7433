"""Whether a node that does not answer is lost, and the word that rooms have to be placed anew."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Final

import structlog

from control_plane.kernel.clock import Clock
from control_plane.kernel.transition import ImpossibleTransitionError
from control_plane.nodes.control import MediaNodes
from control_plane.nodes.model import NodeEvent
from control_plane.nodes.registry import NodeRegistry

_log = structlog.get_logger(__name__)
_RECENT: Final = timedelta(seconds=1)


class MoveSignal:
    """Says within a process that rooms have to be placed anew: not at the next tick but now."""

    def __init__(self) -> None:
        self._now = asyncio.Event()

    def set(self) -> None:
        """Rooms have to be placed anew."""
        self._now.set()

    async def wait(self, seconds: float) -> None:
        """Waits until rooms have to be placed anew, or for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._now.wait()
        except TimeoutError:
            pass
        self._now.clear()


class Liveness:
    """Judges nodes by what others see of them."""

    def __init__(self, registry: NodeRegistry, nodes: MediaNodes, clock: Clock, signal: MoveSignal) -> None:
        self._registry = registry
        self._nodes = nodes
        self._clock = clock
        self._signal = signal

    async def unreachable(self, node_id: str, instance_id: str, address: str) -> bool:
        """A node did not answer. If its reports have stopped too, it is lost.

        Returns:
            Whether its rooms will be placed anew now.
        """
        node = next((n for n in await self._registry.nodes() if n.registration.node_id == node_id), None)
        if node is None or node.registration.instance_id != instance_id or not node.state.serves:
            return True
        if self._clock.now() - node.last_report_time < _RECENT and await self._nodes.reachable(address):
            return False
        return await self.lost(node_id, instance_id)

    async def lost(self, node_id: str, instance_id: str) -> bool:
        """A node can't be reached by any way."""
        moved = await self._registry.transition(node_id, NodeEvent.UNREACHABLE, instance_id=instance_id)
        if moved:
            _log.warning("media node lost", node=node_id, instance=instance_id)
            self._signal.set()
        return moved

    async def stream_broken(self, node_id: str, instance_id: str, address: str) -> None:
        """A node's report stream broke without a good-bye: it is gone, or only the stream is."""
        if not await self._nodes.reachable(address):
            await self.lost(node_id, instance_id)

    async def said_goodbye(self, node_id: str, instance_id: str) -> None:
        """A node ends in good order."""
        if await self._registry.transition(node_id, NodeEvent.SAID_GOODBYE, instance_id=instance_id):
            self._signal.set()

    async def draining(self, node_id: str, instance_id: str) -> None:
        """A node said that it takes no new rooms, before its next registration could tell."""
        # One that is lost or gone by now takes none anyway.
        with suppress(ImpossibleTransitionError):
            await self._registry.transition(node_id, NodeEvent.DRAIN_REQUESTED, instance_id=instance_id)

    def rooms_moved(self) -> None:
        """A registration or a report has freed rooms, which have to be placed anew."""
        self._signal.set()
