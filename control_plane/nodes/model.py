"""A media node as the control plane sees it, and its life: a pure state machine.

`ACTIVE -> DRAINING -> GONE`; `LOST` when its reports stop, and back when they return.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from control_plane.kernel.transition import look_up


class NodeState(enum.Enum):
    """Where a node is in its life."""

    ACTIVE = "active"
    DRAINING = "draining"
    LOST = "lost"
    GONE = "gone"
    UNKNOWN = "unknown"
    """One of a newer version. Such a node gets no rooms from this one, and its silence is not judged."""

    @property
    def serves(self) -> bool:
        """Whether rooms that are on the node are still served."""
        return self in {NodeState.ACTIVE, NodeState.DRAINING}


class NodeEvent(enum.Enum):
    """What can happen to a node."""

    REGISTERED = "registered"
    """It opened a report stream, with the same process as before."""
    RESTARTED = "restarted"
    """It registered with another process: what the old one held is gone."""
    REGISTERED_DRAINING = "registered_draining"
    """It opened a report stream and says that it is draining."""
    REPORTED = "reported"
    """A load report came."""
    REPORTS_MISSED = "reports_missed"
    """No report came for three intervals."""
    UNREACHABLE = "unreachable"
    """Its stream broke and its control address does not answer."""
    DRAIN_REQUESTED = "drain_requested"
    """An operator wants it empty."""
    SAID_GOODBYE = "said_goodbye"
    """It ended in good order."""


_MACHINE: Final = "node"
_A, _D, _L, _G = NodeState.ACTIVE, NodeState.DRAINING, NodeState.LOST, NodeState.GONE
_U = NodeState.UNKNOWN

_STEPS: Mapping[tuple[NodeState, NodeEvent], NodeState] = MappingProxyType(
    {
        (_A, NodeEvent.REGISTERED): _A,
        (_A, NodeEvent.REGISTERED_DRAINING): _D,
        (_A, NodeEvent.RESTARTED): _A,
        (_A, NodeEvent.REPORTED): _A,
        (_A, NodeEvent.REPORTS_MISSED): _L,
        (_A, NodeEvent.UNREACHABLE): _L,
        (_A, NodeEvent.DRAIN_REQUESTED): _D,
        (_A, NodeEvent.SAID_GOODBYE): _G,
        # An operator's wish outlives a reconnection of the stream, but not the process that it was told to.
        (_D, NodeEvent.REGISTERED): _D,
        (_D, NodeEvent.REGISTERED_DRAINING): _D,
        (_D, NodeEvent.RESTARTED): _A,
        (_D, NodeEvent.REPORTED): _D,
        (_D, NodeEvent.REPORTS_MISSED): _L,
        (_D, NodeEvent.UNREACHABLE): _L,
        (_D, NodeEvent.DRAIN_REQUESTED): _D,
        (_D, NodeEvent.SAID_GOODBYE): _G,
        (_L, NodeEvent.REGISTERED): _A,
        (_L, NodeEvent.REGISTERED_DRAINING): _D,
        (_L, NodeEvent.RESTARTED): _A,
        (_L, NodeEvent.REPORTED): _A,
        (_L, NodeEvent.REPORTS_MISSED): _L,
        (_L, NodeEvent.UNREACHABLE): _L,
        (_L, NodeEvent.SAID_GOODBYE): _G,
        (_G, NodeEvent.REGISTERED): _A,
        (_G, NodeEvent.REGISTERED_DRAINING): _D,
        (_G, NodeEvent.RESTARTED): _A,
        (_G, NodeEvent.SAID_GOODBYE): _G,
        (_G, NodeEvent.REPORTS_MISSED): _G,
        (_G, NodeEvent.UNREACHABLE): _G,
        (_U, NodeEvent.REGISTERED): _A,
        (_U, NodeEvent.REGISTERED_DRAINING): _D,
        (_U, NodeEvent.RESTARTED): _A,
        (_U, NodeEvent.REPORTED): _U,
        (_U, NodeEvent.REPORTS_MISSED): _L,
        (_U, NodeEvent.UNREACHABLE): _L,
        (_U, NodeEvent.DRAIN_REQUESTED): _D,
        (_U, NodeEvent.SAID_GOODBYE): _G,
    }
)


def step(state: NodeState, event: NodeEvent) -> NodeState:
    """Returns the state after an event.

    Raises:
        ImpossibleTransitionError: The event can't happen in this state.
    """
    return look_up(_MACHINE, _STEPS, state, event)


def loses_rooms(before: NodeState, event: NodeEvent, after: NodeState) -> bool:
    """Whether a transition takes a node's rooms away from it, so that they have to be placed anew."""
    return event is NodeEvent.RESTARTED or (after is not before and not after.serves)


@dataclass(frozen=True, slots=True)
class Registration:
    """Who a node is.

    Attributes:
        node_id: Kept over restarts of the node.
        instance_id: Differs from one start of its process to the next.
        region: Where it is; empty: unknown.
        version: Version of its software.
        control_address: Where its SfuControlService listens, `host:port`.
        session_capacity: Sessions it takes at most; 0: not said, so not limited.
        cpu_cores: Cores that its shards may use.
        draining: Whether it takes no new rooms already.
    """

    node_id: str
    instance_id: str
    region: str
    version: str
    control_address: str
    session_capacity: int
    cpu_cores: int
    draining: bool = False


@dataclass(frozen=True, slots=True)
class RoomLease:
    """A room on a node, by the node's word.

    Attributes:
        room_id: The room; a meeting's main room has the meeting's number.
        epoch: Fencing epoch that the node serves it under.
        session_count: Sessions in it.
    """

    room_id: str
    epoch: int
    session_count: int = 0


@dataclass(frozen=True, slots=True)
class LoadReport:
    """Monotonic counters since the node's start, and the rooms that it holds now.

    Attributes:
        cpu_seconds: CPU time of its process, user and system.
        packets_sent: RTP packets sent.
        bytes_sent: Bytes of all datagrams sent.
        sessions_opened: Sessions opened; covers pending joins.
        sessions_closed: Sessions closed.
        rooms: Every room it holds.
        shards: Threads that forward media; 0: not said.
        serving_shards: Those of them that serve now.
        shard_failures: Shards that have failed.
    """

    cpu_seconds: float = 0.0
    packets_sent: int = 0
    bytes_sent: int = 0
    sessions_opened: int = 0
    sessions_closed: int = 0
    rooms: tuple[RoomLease, ...] = ()
    shards: int = 0
    serving_shards: int = 0
    shard_failures: int = 0


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
