"""What a policy is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from control_plane.nodes.model import NodeState, NodeStatus
from control_plane.rooms.model import PlacementRequest


class Selector(Protocol):
    """Chooses a node for a room."""

    def select(self, request: PlacementRequest, nodes: Sequence[NodeStatus]) -> NodeStatus | None:
        """Returns the best node; None when no node can take the room."""
        ...


def candidates(nodes: Sequence[NodeStatus]) -> list[NodeStatus]:
    """Returns the nodes that may take a new room at all: active, a shard serves, room for one more session."""
    return [node for node in nodes if node.state is NodeState.ACTIVE and node.forwards and node.load < node.capacity]
