"""Gauges of running meetings and media nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from prometheus_client import Gauge

from control_plane.domain.node import NodeState
from control_plane.placement.model import NodeStatus

PARTICIPANTS = Gauge("parley_live_participants", "People in meetings, all replicas together.")
MEETINGS = Gauge("parley_live_meetings", "Meetings with somebody in them, all replicas together.")
STREAMS = Gauge("parley_watch_streams", "WatchSession streams of this process.")
NODES = Gauge("parley_media_nodes", "Media nodes by state.", ["state"])
SESSIONS = Gauge("parley_media_sessions", "Media sessions of a node by its last report.", ["node"])
QUARANTINED = Gauge("parley_quarantined_records", "Records that are set aside, all replicas together.", ["kind"])
PENDING = Gauge("parley_media_pending_joins", "Joins to a node that no report of its covers yet.", ["node"])


def show_quarantine(kinds: Mapping[str, int]) -> None:
    """Shows how many records are set aside, by kind; each kind is named."""
    for kind, count in kinds.items():
        QUARANTINED.labels(kind).set(count)


def show_census(counts: Sequence[int], streams: int, nodes: Sequence[NodeStatus]) -> None:
    """Shows how many there are now.

    Args:
        counts: People in each meeting.
        streams: WatchSession streams of this process.
        nodes: All media nodes.
    """
    PARTICIPANTS.set(sum(counts))
    MEETINGS.set(sum(1 for count in counts if count))
    STREAMS.set(streams)
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
