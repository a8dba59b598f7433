"""Events of the engine in batches: one that can't be taken holds no other up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from media_plane._engine import Event
from media_plane.node.agent import Agent
from media_plane.node.announcer import Announcer
from media_plane.node.engine_events import EngineEvents
from media_plane.node.event_log import EventLog
from media_plane.node.faults import FAULTS
from media_plane.node.rooms import Room, Rooms
from media_plane.node.slot_director import SlotDirector
from tests.support.fake_engine import FakeEngine, port


def faults() -> float:
    (metric,) = FAULTS.labels("engine events").collect()
    return float(metric.samples[0].value)


def test_a_fault_with_one_event_or_one_room_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, rooms, log = port(FakeEngine()), Rooms(), EventLog()
    announcer = Announcer(log)
    director = SlotDirector(engine, announcer)
    agent = Agent(engine=engine, rooms=rooms, director=director, announcer=announcer, addresses=lambda: ["127.0.0.1"])
    for room in ("a", "b", "c"):
        agent.open_room(room, 1)
    events = EngineEvents(engine=engine, rooms=rooms, director=director, announcer=announcer)
    taken: list[str] = []
    directed: list[str] = []

    def take(room: Room, event: Any) -> bool:  # noqa: ANN401 - any event
        if event.broken:
            raise KeyError("of_tomorrow")
        taken.append(room.room_id)
        return True

    def direct(room: Room) -> None:
        if room.room_id == "b":
            raise ZeroDivisionError
        directed.append(room.room_id)

    monkeypatch.setattr(events, "_take", take)
    monkeypatch.setattr(director, "direct", direct)
    before = faults()
    batch = [SimpleNamespace(room_id=room, broken=broken) for room, broken in (("a", True), ("b", False), ("c", False))]

    events.handle(cast("list[Event]", batch))

    assert (taken, directed) == (["b", "c"], ["c"])
    assert faults() == before + 2
