"""What watchers are told of a session's media, by events and by the node's state."""

from __future__ import annotations

from typing import cast

import pytest
from opentelemetry.context import Context

from media_plane.node.announcer import Announcer, session_state
from media_plane.node.event_log import EventLog
from media_plane.node.rooms import Room, Session
from media_plane.node.sdp.answer import NodeTransport
from media_plane.node.sdp.negotiation import Agreement
from parley.sfu.v1 import media_pb2

NOW = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


@pytest.fixture
def session() -> Session:
    return Session(
        participant_id="p",
        session_id="s",
        tracks={},
        slots={},
        agreement=cast("Agreement", None),
        transport=cast("NodeTransport", None),
        answer="",
        opened_unix_nano=NOW,
        context=Context(),
        traceparent="",
    )


def told(session: Session, now: int, *, closed: bool = False) -> media_pb2.MediaStateChanged:
    log = EventLog()
    Announcer(log).media_state(Room("1", 1), session, now, closed=closed)
    (event,) = log.after(0)
    return event.media_state_changed


def test_event_and_state_say_the_same_of_a_session(session: Session) -> None:
    """FLT-8: a silence comes with its age, which needs no common clock, and ends by being connected again."""
    assert session_state(session, NOW).media_state == media_pb2.MEDIA_STATE_CONNECTING
    session.is_connected = True
    for since, state in ((NOW - 7 * SECOND, media_pb2.MEDIA_STATE_SILENT), (None, media_pb2.MEDIA_STATE_CONNECTED)):
        session.silent_since_unix_nano = since
        for said in (told(session, NOW), session_state(session, NOW)):
            assert said.media_state == state
            assert said.HasField("silence") is (since is not None)
            assert said.silence.ToNanoseconds() == (0 if since is None else 7 * SECOND)


def test_a_silence_grows_older_and_never_has_a_negative_age(session: Session) -> None:
    session.is_connected, session.silent_since_unix_nano = True, NOW
    assert session_state(session, NOW + 9 * SECOND).silence.ToNanoseconds() == 9 * SECOND
    assert session_state(session, NOW - SECOND).silence.ToNanoseconds() == 0


def test_a_silent_session_that_ends_is_closed(session: Session) -> None:
    session.is_connected, session.silent_since_unix_nano = True, NOW
    said = told(session, NOW, closed=True)
    assert said.media_state == media_pb2.MEDIA_STATE_CLOSED
    assert not said.HasField("silence")
