"""Events of the engine in batches: one that can't be taken holds no other up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from media_plane._engine import Event
from media_plane.node.agent import Agent, OpenSession
from media_plane.node.announcer import Announcer
from media_plane.node.engine_events import EngineEvents
from media_plane.node.event_log import EventLog
from media_plane.node.faults import FAULTS
from media_plane.node.rooms import Room, Rooms, Track, TrackSource
from media_plane.node.slot_director import SlotDirector
from parley.sfu.v1 import media_pb2
from tests.support.fake_engine import FakeEngine, port

OFFER = (Path(__file__).parent / "offers" / "chromium.sdp").read_bytes().decode()


TRACKS = (
    Track("0", "audio", TrackSource.MICROPHONE, muted=False),
    Track("1", "video", TrackSource.CAMERA, muted=True),
    Track("2", "video", TrackSource.SCREEN, muted=True),
)


@dataclass(frozen=True)
class SlotSource:
    """As `SlotSourceChanged`, which the engine alone makes."""

    session_id: str
    mid: str
    source_session_id: str | None
    source_mid: str | None = "0"
    room_id: str = "r"
    time_unix_nano: int = 7


def faults() -> float:
    (metric,) = FAULTS.labels("engine events").collect()
    return float(metric.samples[0].value)


def test_who_is_heard_by_all_now_is_told_in_one_event_a_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_plane.node.engine_events.SlotSourceChanged", SlotSource)
    engine, rooms, log = port(FakeEngine()), Rooms(), EventLog()
    announcer = Announcer(log)
    director = SlotDirector(engine, announcer)
    agent = Agent(engine=engine, rooms=rooms, director=director, announcer=announcer, addresses=lambda: ["127.0.0.1"])
    events = EngineEvents(engine=engine, rooms=rooms, director=director, announcer=announcer)
    people = [f"p{number}" for number in range(30)]
    for name in people:
        agent.open_session("r", 1, OpenSession(name, f"session-of-{name}", OFFER, TRACKS, ()))
    mid = next(slot.mid for slot in rooms.get("r").session("p0").slots.values() if slot.kind == "audio")

    def heard(speaker: str | None, by: list[str]) -> list[SlotSource]:
        source = f"session-of-{speaker}" if speaker else None
        return [SlotSource(f"session-of-{name}", mid, source) for name in by]

    def handle(batch: list[SlotSource]) -> list[media_pb2.NodeEvent]:
        before = log.sequence
        events.handle(cast("list[Event]", batch))
        return list(log.after(before))

    (told,) = handle([*heard(None, people[1:]), *heard("p0", people[1:]), *heard("gone", ["gone"])])
    sessions = told.room_slot_states_changed.sessions
    assert [session.participant_id for session in sessions] == people[1:]
    slots = [(slot.mid, slot.source.participant_id) for session in sessions for slot in session.slots]
    assert slots == [(mid, "p0")] * 29
    assert handle(heard("p0", people[1:])) == [], "nothing has changed"

    (told,) = handle(heard("p2", ["p5"]))
    assert told.slot_states_changed.participant_id == "p5"


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
