"""What was closed ends in the engine, too, although the engine would not do it at once (E6)."""

import pytest

from tests.unit.media_plane.test_agent import Node


@pytest.fixture
def node() -> Node:
    return Node()


def test_a_session_whose_end_the_engine_refused_is_ended_when_asked_again(node: Node) -> None:
    ana = node.join("ana")
    node.engine.refuse = "queue_full"
    node.agent.close_session("r", 1, "ana")
    node.agent.close_session("r", 1, "ana")
    assert node.engine.named("close_session") == [(ana.session_id, "requested")]


def test_a_room_whose_end_the_engine_refused_is_ended_when_asked_again(node: Node) -> None:
    node.join("ana")
    node.engine.refuse = "queue_full"
    node.agent.close_room("r", 1)
    node.agent.close_room("r", 1)
    assert node.engine.named("close_room") == [("r",)]


def test_nobody_has_to_ask_again(node: Node) -> None:
    ana = node.join("ana")
    node.engine.refuse = "queue_full"
    node.agent.close_session("r", 1, "ana")
    node.agent.retry_closings()
    node.agent.retry_closings()
    assert node.engine.named("close_session") == [(ana.session_id, "requested")]


def test_a_replaced_session_that_would_not_end_is_ended_later(node: Node) -> None:
    old = node.join("ana")
    node.engine.refuse_named["close_session"] = "queue_full"
    node.replace("ana")
    node.agent.retry_closings()
    assert node.engine.named("close_session") == [(old.session_id, "replaced")]


def test_what_is_gone_already_is_not_closed_again(node: Node) -> None:
    node.join("ana")
    node.engine.refuse = "unknown_session"
    node.agent.close_session("r", 1, "ana")
    node.agent.retry_closings()
    assert node.engine.named("close_session") == []


def test_a_room_is_opened_anew_after_its_end_was_refused(node: Node) -> None:
    node.join("ana")
    node.engine.refuse = "queue_full"
    node.agent.close_room("r", 1)
    node.join("bo", epoch=2)
    names = [command[0] for command in node.engine.commands if command[0].endswith("_room")]
    assert names == ["open_room", "close_room", "open_room"]
