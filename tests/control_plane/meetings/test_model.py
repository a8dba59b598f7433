from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from control_plane.kernel.errors import DomainError
from control_plane.meetings.model import Meeting, MeetingEvent, MeetingState, MeetingType, advance, changed

BEFORE = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = BEFORE + timedelta(minutes=5)


def meeting(state: MeetingState = MeetingState.SCHEDULED) -> Meeting:
    return Meeting(
        number="12345678901",
        host_id="3f0c8d4e-6a3b-4e0e-9a5c-1f2e3d4c5b6a",
        host_display_name="Ada",
        passcode="123456",
        type=MeetingType.INSTANT,
        state=state,
        create_time=BEFORE,
        update_time=BEFORE,
        start_time=None if state is MeetingState.SCHEDULED else BEFORE,
    )


@pytest.mark.parametrize(("passcode", "spelt"), [("123456", "123456"), ("a.b-", "a.b-"), ("ab..", "ab.%2E")])
def test_a_link_keeps_its_passcode_in_text(passcode: str, spelt: str) -> None:
    """LINK-1: programs that find links in text leave a dot at the end out."""
    link = replace(meeting(), passcode=passcode).join_uri("https://parley.example")
    assert link == f"https://parley.example/j/{meeting().number}#{spelt}"


def test_starting_sets_the_start_time_and_a_new_etag() -> None:
    after = advance(meeting(), MeetingEvent.START, NOW)
    assert (after.state, after.start_time, after.update_time) == (MeetingState.ACTIVE, NOW, NOW)
    assert after.etag != meeting().etag


def test_ending_sets_the_end_time_and_keeps_the_start_time() -> None:
    after = advance(meeting(MeetingState.ACTIVE), MeetingEvent.END, NOW)
    assert (after.state, after.start_time, after.end_time) == (MeetingState.ENDED, BEFORE, NOW)


def test_a_meeting_may_end_before_it_began() -> None:
    after = advance(meeting(), MeetingEvent.END, NOW)
    assert (after.state, after.start_time, after.end_time) == (MeetingState.ENDED, None, NOW)


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (MeetingState.ACTIVE, MeetingEvent.START),
        (MeetingState.ENDED, MeetingEvent.END),
        (MeetingState.SCHEDULED, MeetingEvent.DELETE),
        (MeetingState.ENDED, MeetingEvent.DELETE),
    ],
)
def test_what_changes_nothing_gives_the_same_meeting(state: MeetingState, event: MeetingEvent) -> None:
    before = meeting(state)
    assert advance(before, event, NOW) is before


@pytest.mark.parametrize(
    ("state", "event", "reason"),
    [
        (MeetingState.ENDED, MeetingEvent.START, "MEETING_ENDED"),
        (MeetingState.ACTIVE, MeetingEvent.DELETE, "MEETING_STATE_CONFLICT"),
    ],
)
def test_impossible_events_tell_their_story(state: MeetingState, event: MeetingEvent, reason: str) -> None:
    with pytest.raises(DomainError) as raised:
        advance(meeting(state), event, NOW)
    assert raised.value.reason == reason
    if reason == "MEETING_STATE_CONFLICT":
        assert raised.value.metadata == {"state": "ACTIVE", "event": "DELETE"}


def test_every_state_has_an_answer_to_every_event() -> None:
    for state in MeetingState:
        for event in MeetingEvent:
            with suppress(DomainError):
                after = advance(meeting(state), event, NOW)
                assert after.state is MeetingState.ENDED or state is not MeetingState.ENDED


def test_a_change_gives_the_next_revision() -> None:
    after = changed(meeting(), NOW, topic="Plans")
    assert (after.topic, after.revision, after.update_time) == ("Plans", 2, NOW)


def test_an_ended_meeting_can_not_be_changed() -> None:
    with pytest.raises(DomainError) as raised:
        changed(meeting(MeetingState.ENDED), NOW, topic="Plans")
    assert raised.value.reason == "MEETING_ENDED"
