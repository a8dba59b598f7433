from __future__ import annotations

import pytest

from control_plane.kernel.transition import ImpossibleTransitionError
from control_plane.log import participant
from control_plane.log.participant import ParticipantEvent, ParticipantState
from control_plane.nodes import model as node
from control_plane.nodes.model import NodeEvent, NodeState


def test_a_stay_from_beginning_to_end() -> None:
    state = ParticipantState.WAITING
    for event, expected in [
        (ParticipantEvent.ADMITTED, ParticipantState.JOINING),
        (ParticipantEvent.MEDIA_CONNECTED, ParticipantState.CONNECTED),
        (ParticipantEvent.MEDIA_LOST, ParticipantState.RECONNECTING),
        (ParticipantEvent.MEDIA_RENEGOTIATED, ParticipantState.RECONNECTING),
        (ParticipantEvent.MEDIA_CONNECTED, ParticipantState.CONNECTED),
        (ParticipantEvent.DEPARTED, ParticipantState.LEFT),
    ]:
        state = participant.step(state, event)
        assert state is expected


@pytest.mark.parametrize("event", ParticipantEvent)
def test_nothing_comes_back_from_left(event: ParticipantEvent) -> None:
    with pytest.raises(ImpossibleTransitionError, match="a participant that is left was told"):
        participant.step(ParticipantState.LEFT, event)


@pytest.mark.parametrize("state", [state for state in ParticipantState if state is not ParticipantState.LEFT])
def test_everybody_can_leave(state: ParticipantState) -> None:
    assert participant.step(state, ParticipantEvent.DEPARTED) is ParticipantState.LEFT


def test_an_impossible_transition_tells_its_story() -> None:
    with pytest.raises(ImpossibleTransitionError) as story:
        participant.step(ParticipantState.WAITING, ParticipantEvent.MEDIA_LOST)

    assert str(story.value) == (
        "a participant that is waiting was told media_lost, but only admitted, departed can follow"
    )


def test_a_nodes_life() -> None:
    state = NodeState.ACTIVE
    for event, expected in [
        (NodeEvent.REPORTED, NodeState.ACTIVE),
        (NodeEvent.REPORTS_MISSED, NodeState.LOST),
        (NodeEvent.REPORTED, NodeState.ACTIVE),
        (NodeEvent.DRAIN_REQUESTED, NodeState.DRAINING),
        (NodeEvent.REGISTERED, NodeState.DRAINING),
        (NodeEvent.SAID_GOODBYE, NodeState.GONE),
        (NodeEvent.RESTARTED, NodeState.ACTIVE),
    ]:
        state = node.step(state, event)
        assert state is expected


@pytest.mark.parametrize("state", NodeState)
def test_the_rooms_of_a_node_that_stops_serving_move(state: NodeState) -> None:
    for event in NodeEvent:
        try:
            after = node.step(state, event)
        except ImpossibleTransitionError:
            continue
        if state.serves and not after.serves:
            assert node.loses_rooms(state, event, after)


@pytest.mark.parametrize("state", NodeState)
def test_rooms_stay_where_a_node_reports_registers_again_or_is_silent_once_more(state: NodeState) -> None:
    for event in set(NodeEvent) - {NodeEvent.RESTARTED}:
        try:
            after = node.step(state, event)
        except ImpossibleTransitionError:
            continue
        if after.serves or after is state:
            assert not node.loses_rooms(state, event, after)


@pytest.mark.parametrize("state", NodeState)
def test_the_rooms_of_a_restarted_node_move_from_every_state(state: NodeState) -> None:
    assert node.step(state, NodeEvent.RESTARTED) is NodeState.ACTIVE
    assert node.loses_rooms(state, NodeEvent.RESTARTED, NodeState.ACTIVE)


@pytest.mark.parametrize("event", [NodeEvent.REPORTED, NodeEvent.DRAIN_REQUESTED])
def test_a_node_that_is_gone_says_nothing(event: NodeEvent) -> None:
    with pytest.raises(ImpossibleTransitionError, match="a node that is gone"):
        node.step(NodeState.GONE, event)
