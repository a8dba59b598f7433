"""Notices lost nodes, and knows when not to judge: silence means nothing while nobody listened."""

from __future__ import annotations

from datetime import datetime, timedelta

from control_plane.domain.clock import Clock
from control_plane.domain.errors import DomainError
from control_plane.domain.node import NodeEvent
from control_plane.placement.model import NodeStatus, Timing
from control_plane.placement.registry import NodeRegistry
from control_plane.redis_store import milliseconds


class Horizon:
    """Until when silence may be judged.

    Signs of life reach Redis through this process and its sisters. After a start, a stall or an outage of Redis they
    are late through no fault of their senders, so nothing is judged until they have had time to come in.

    Args:
        clock: The clock.
        grace: Seconds that senders get to be heard again.
        stall: Seconds between two looks from which on this process counts as having been away.
    """

    def __init__(self, clock: Clock, grace: float, stall: float = 1.0) -> None:
        self._clock = clock
        self._grace = timedelta(seconds=grace)
        self._stall = timedelta(seconds=stall)
        self._since = clock.now()
        self._last_look = self._since

    def looked(self) -> None:
        """Somebody has looked just now."""
        now = self._clock.now()
        if now - self._last_look > self._stall:
            self._since = now
        self._last_look = now

    def blinded(self) -> None:
        """Nobody could look."""
        self._since = self._last_look = self._clock.now()

    @property
    def steady(self) -> bool:
        """Whether silence may be judged."""
        now = self._clock.now()
        return now - self._since >= self._grace and now - self._last_look <= self._stall

    def before_ms(self) -> int:
        """Leases that end before this are void (those that were ended on purpose end before 0)."""
        return milliseconds(self._clock.now()) if self.steady else 0


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
