"""The default policy: nearness counts 0.4, free capacity 0.6 (the weights of the product's brief)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from control_plane.nodes.model import NodeStatus
from control_plane.rooms.model import PlacementRequest
from control_plane.rooms.selectors.base import candidates

LATENCY_WEIGHT: Final = 0.4
CAPACITY_WEIGHT: Final = 0.6
_NEAR: Final = 1.0
_UNKNOWN: Final = 0.5
_FAR: Final = 0.0
_WORST_RTT_MS: Final = 300.0


class WeightedSelector:
    """Scores nearness and free capacity, each from 0 to 1, and takes the best sum.

    Args:
        round_trip_ms: Round-trip times between regions, `(from, to)`, in milliseconds. Where nothing is known the same
            region is near, another one far, and an unnamed one in between.
    """

    def __init__(self, round_trip_ms: Mapping[tuple[str, str], float] | None = None) -> None:
        self._round_trip_ms = dict(round_trip_ms or {})

    def select(self, request: PlacementRequest, nodes: Sequence[NodeStatus]) -> NodeStatus | None:
        """Returns the node with the best score; of equals the least loaded, then the first by name."""
        return min(candidates(nodes), key=lambda node: self._order(request, node), default=None)

    def _order(self, request: PlacementRequest, node: NodeStatus) -> tuple[float, int, str]:
        return (-self.score(request, node), node.load, node.registration.node_id)

    def score(self, request: PlacementRequest, node: NodeStatus) -> float:
        """Returns how good a node is for a room, 0 to 1."""
        return LATENCY_WEIGHT * self._nearness(request.region, node.registration.region) + CAPACITY_WEIGHT * free(node)

    def _nearness(self, wanted: str, region: str) -> float:
        if not wanted or not region:
            return _UNKNOWN
        if wanted == region:
            return _NEAR
        known = self._round_trip_ms.get((wanted, region), self._round_trip_ms.get((region, wanted)))
        return _FAR if known is None else max(_FAR, 1.0 - known / _WORST_RTT_MS)


def free(node: NodeStatus) -> float:
    """Returns the free share of what a node runs out of first: sessions or CPU."""
    sessions = 1.0 - node.load / node.capacity
    cores = node.registration.cpu_cores
    cpu = 1.0 - node.cpu_cores_used / cores if cores else 1.0
    return max(0.0, min(sessions, cpu))
