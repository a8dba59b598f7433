"""Notices lost nodes."""

from __future__ import annotations

from datetime import datetime, timedelta

from control_plane.kernel.clock import Clock
from control_plane.kernel.errors import DomainError
from control_plane.nodes.model import NodeEvent, NodeStatus, Timing
from control_plane.nodes.registry import NodeRegistry
from control_plane.platform.horizon import Horizon


class FailureDetector:
    """Makes nodes LOST that have missed their reports."""

    def __init__(self, registry: NodeRegistry, clock: Clock, timing: Timing, horizon: Horizon) -> None:
        self._registry = registry
        self._clock = clock
        self._lost_after = timedelta(seconds=timing.lost_after)
        self._horizon = horizon

    async def look(self) -> bool:
        """Judges every node once.

        Returns:
            Whether rooms have to be placed anew.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        try:
            nodes = await self._registry.nodes()
        except DomainError:
            self._horizon.blinded()
            raise
        self._horizon.looked()
        if not self._horizon.steady:
            return False
        moved = False
        now = self._clock.now()
        for node in nodes:
            if self._is_silent(node, now):
                moved |= await self._registry.transition(
                    node.registration.node_id, NodeEvent.REPORTS_MISSED, instance_id=node.registration.instance_id
                )
        return moved

    def _is_silent(self, node: NodeStatus, now: datetime) -> bool:
        return node.state.serves and now - node.last_report_time > self._lost_after
