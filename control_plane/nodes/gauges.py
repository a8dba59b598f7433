"""Gauges of media nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from prometheus_client import Gauge

from control_plane.nodes.model import NodeState, NodeStatus

NODES = Gauge("parley_media_nodes", "Media nodes by state.", ["state"])
SESSIONS = Gauge("parley_media_sessions", "Media sessions of a node by its last report.", ["node"])
PENDING = Gauge("parley_media_pending_joins", "Joins to a node that no report of its covers yet.", ["node"])


def show_nodes(nodes: Sequence[NodeStatus]) -> None:
    """Shows how many nodes there are, and what they have to do."""
    states = Counter(node.state for node in nodes)
    for state in NodeState:
        NODES.labels(state.value).set(states[state])
    names = {node.registration.node_id for node in nodes}
    for gauge in (SESSIONS, PENDING):
        for (name,) in {tuple(sample.labels.values()) for metric in gauge.collect() for sample in metric.samples}:
            if name not in names:
                gauge.remove(name)
    for node in nodes:
        SESSIONS.labels(node.registration.node_id).set(node.session_count)
        PENDING.labels(node.registration.node_id).set(node.pending_joins)
