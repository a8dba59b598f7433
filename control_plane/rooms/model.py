"""Which room is on which node."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


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
