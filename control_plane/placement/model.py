"""What placement is about: nodes with their load, and which room is on which of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from control_plane.domain.node import NodeState, Registration

UNLIMITED_CAPACITY = 1000
"""Sessions that a node which names no limit is taken to hold, so that its load is comparable."""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A media node as the control plane sees it.

    Attributes:
        registration: Who it is.
        state: Where it is in its life.
        session_count: Sessions by its last report.
        pending_joins: Joins placed since that no report covers yet.
        room_count: Rooms by its last report.
        cpu_cores_used: Cores in use, derived from the last two reports.
        packets_sent_per_second: Derived from the last two reports.
        bits_sent_per_second: Derived from the last two reports.
        last_report_time: When it last reported or registered.
        shards: Threads that forward media; 0: not said.
        serving_shards: Those of them that serve, by its last report.
        shard_failures: Shards that have failed since its start.
    """

    registration: Registration
    state: NodeState
    session_count: int
    pending_joins: int
    room_count: int
    cpu_cores_used: float
    packets_sent_per_second: float
    bits_sent_per_second: float
    last_report_time: datetime
    shards: int = 0
    serving_shards: int = 0
    shard_failures: int = 0

    @property
    def forwards(self) -> bool:
        """Whether any of its shards serves."""
        return self.serving_shards > 0 or self.shards == 0

    @property
    def load(self) -> int:
        """Sessions it has or is about to have."""
        return self.session_count + self.pending_joins

    @property
    def capacity(self) -> int:
        """Sessions it takes at most."""
        return self.registration.session_capacity or UNLIMITED_CAPACITY


@dataclass(frozen=True, slots=True)
class PlacementRequest:
    """A room that needs a node.

    Attributes:
        room_id: The room.
        region: Region to prefer; empty: any.
    """

    room_id: str
    region: str = ""


@dataclass(frozen=True, slots=True)
class Placement:
    """Which node a room is on: a lease with a fencing epoch.

    Attributes:
        room_id: The room.
        node_id: The node.
        instance_id: The process of the node that holds it.
        control_address: Where the node's SfuControlService listens, `host:port`.
        epoch: Grows by every new placement of the room.
        expire_time: When the lease ends unless the node's reports renew it.
        fresh: Whether this call made the placement.
    """

    room_id: str
    node_id: str
    instance_id: str
    control_address: str
    epoch: int
    expire_time: datetime
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Timing:
    """How fast placement reacts, in seconds.

    Attributes:
        report_interval: Between load reports. Short, since three missed ones make a node LOST: people wait for that.
        missed_reports: Intervals without a report after which a node is LOST.
        lease_duration: For how long a lease runs on after a report; longer than detection, which thus comes first.
        opening: For how long a new lease runs until the node's first report of the room.
        pending: After this a join that no report covers is taken to have failed.
        grace: After a start, or when the detector could not look, nothing is judged for so long: a node's back-off for
            its report stream is 5 s at most.
    """

    report_interval: float = 0.5
    missed_reports: int = 3
    lease_duration: float = 5.0
    opening: float = 10.0
    pending: float = 10.0
    grace: float = 6.0

    @property
    def lost_after(self) -> float:
        """Seconds without a report after which a node is LOST."""
        return self.report_interval * self.missed_reports
