from __future__ import annotations

from datetime import UTC, datetime

import pytest

from control_plane.nodes.model import NodeState, NodeStatus, Registration
from control_plane.rooms.model import PlacementRequest
from control_plane.rooms.selectors.base import Selector
from control_plane.rooms.selectors.least_loaded import LeastLoadedSelector
from control_plane.rooms.selectors.weighted import WeightedSelector, free

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ANYWHERE = PlacementRequest("room")


def node(
    name: str,
    *,
    region: str = "eu",
    sessions: int = 0,
    pending: int = 0,
    capacity: int = 100,
    cpu: float = 0.0,
    cores: int = 4,
    state: NodeState = NodeState.ACTIVE,
) -> NodeStatus:
    registration = Registration(name, "i", region, "1", f"{name}:1", capacity, cores)
    return NodeStatus(registration, state, sessions, pending, 0, cpu, 0.0, 0.0, NOW)


def chosen(selector: Selector, request: PlacementRequest, *nodes: NodeStatus) -> str | None:
    best = selector.select(request, nodes)
    return best.registration.node_id if best else None


@pytest.mark.parametrize("selector", [WeightedSelector(), LeastLoadedSelector()])
def test_only_active_nodes_with_room_are_chosen(selector: Selector) -> None:
    nodes = [
        node("draining", state=NodeState.DRAINING),
        node("lost", state=NodeState.LOST),
        node("gone", state=NodeState.GONE),
        node("full", sessions=60, pending=40),
    ]

    assert chosen(selector, ANYWHERE, *nodes) is None
    assert chosen(selector, ANYWHERE, *nodes, node("busy", sessions=99)) == "busy"


@pytest.mark.parametrize("selector", [WeightedSelector(), LeastLoadedSelector()])
def test_joins_under_way_count_as_load(selector: Selector) -> None:
    assert chosen(selector, ANYWHERE, node("a", pending=5), node("b", sessions=4)) == "b"


@pytest.mark.parametrize("selector", [WeightedSelector(), LeastLoadedSelector()])
def test_of_equals_the_first_by_name(selector: Selector) -> None:
    assert chosen(selector, ANYWHERE, node("b"), node("a")) == "a"


def test_capacity_weighs_more_than_nearness_but_not_everything() -> None:
    selector, request = WeightedSelector(), PlacementRequest("room", "eu")

    assert chosen(selector, request, node("near", sessions=60), node("far", region="us")) == "near"
    assert chosen(selector, request, node("near", sessions=70), node("far", region="us")) == "far"


def test_known_distances_make_regions_nearer() -> None:
    selector = WeightedSelector({("eu", "uk"): 15.0})
    request = PlacementRequest("room", "eu")

    assert chosen(selector, request, node("us", region="us"), node("uk", region="uk", sessions=10)) == "uk"
    assert selector.score(request, node("uk", region="uk")) == pytest.approx(0.4 * 0.95 + 0.6)


def test_what_runs_out_first_counts_as_capacity() -> None:
    assert free(node("cpu", sessions=10, cpu=3.0)) == pytest.approx(0.25)
    assert free(node("sessions", sessions=90, cpu=0.4)) == pytest.approx(0.1)
    assert free(node("over", sessions=10, cpu=5.0)) == 0.0
    assert free(node("unknown", cores=0, cpu=5.0)) == 1.0
