"""Notices lost nodes."""

from __future__ import annotations

from datetime import datetime, timedelta

from control_plane.kernel.clock import Clock
from control_plane.kernel.errors import DomainError
from control_plane.nodes.model import NodeEvent, NodeStatus, Timing
from control_plane.nodes.registry import NodeRegistry
from control_plane.platform.horizon import Horizon
from control_plane.platform.replicas import Share


class FailureDetector:
    """Makes nodes LOST that have missed their reports."""

    def __init__(self, registry: NodeRegistry, clock: Clock, timing: Timing, horizon: Horizon, share: Share) -> None:
        self._registry = registry
        self._clock = clock
        self._lost_after = timedelta(seconds=timing.lost_after)
        self._horizon = horizon
        self._share = share

    async def look(self) -> bool:
        """Judges once the nodes of this replica's share.

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
        silent = {node.registration.node_id: node for node in nodes if self._is_silent(node, now)}
        for node_id in self._share.take(silent, len(silent)):
            instance_id = silent[node_id].registration.instance_id
            moved |= await self._registry.transition(node_id, NodeEvent.REPORTS_MISSED, instance_id=instance_id)
        return moved

    def _is_silent(self, node: NodeStatus, now: datetime) -> bool:
        return node.state.serves and now - node.last_report_time > self._lost_after
