"""The simplest policy: the node with the fewest sessions, wherever it is. For one region, and to compare with."""

from __future__ import annotations

from collections.abc import Sequence

from control_plane.nodes.model import NodeStatus
from control_plane.rooms.model import PlacementRequest
from control_plane.rooms.selectors.base import candidates


class LeastLoadedSelector:
    """Takes the node with the fewest sessions, joins under way counted; of equals the first by name."""

    def select(self, request: PlacementRequest, nodes: Sequence[NodeStatus]) -> NodeStatus | None:  # noqa: ARG002 -- a port
        """Returns the least loaded node."""
        return min(candidates(nodes), key=lambda node: (node.load, node.registration.node_id), default=None)
