from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from control_plane.kernel.errors import DomainError
from control_plane.kernel.records import decode, encode
from control_plane.kernel.roles import ParticipantRole
from control_plane.log import event as events
from control_plane.log.codec import decode_event, event_name
from control_plane.log.cursor import Cursor, order, parse
from control_plane.log.participant import Participant, ParticipantState, Track, TrackKind, TrackSource
from control_plane.meetings.model import Meeting, MeetingSettings, MeetingState, MeetingType

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
PERSON = Participant(
    "p",
    'Ångström "\u202f" 🦆',
    ParticipantRole.HOST,
    ParticipantState.CONNECTED,
    NOW,
    "u",
    (Track("0", TrackKind.AUDIO, TrackSource.MICROPHONE, muted=True),),
    "s",
    "users/u",
)
MEETING = Meeting(
    "12345678901",
    "host",
    "Hanna",
    "123456",
    MeetingType.SCHEDULED,
    MeetingState.ACTIVE,
    NOW,
    NOW,
    scheduled_start_time=NOW,
    scheduled_duration=timedelta(minutes=45),
    settings=MeetingSettings(max_participants=7),
)


@pytest.mark.parametrize(
    "event",
    [
        events.ParticipantJoined(PERSON),
        events.ParticipantUpdated(PERSON),
        events.ParticipantLeft("p", events.LeaveReason.PRESENCE_EXPIRED),
        events.DominantSpeakerChanged(""),
        events.SlotsChanged((events.SlotAssignment("4", "p", "1"), events.SlotAssignment("5"))),
        events.EncodingsChanged((events.TrackEncodings("1", ("q", "h")), events.TrackEncodings("2", (), "H264"))),
        events.ReactionSent("p", "👍🏽"),
        events.MeetingUpdated(MEETING),
        events.MeetingEnded("p"),
        events.MediaMoved(2**53),
        events.StreamOpened("x"),
    ],
)
def test_events_come_back_as_they_were(event: events.Event) -> None:
    assert decode_event(event_name(event), encode(event)) == event


def test_equal_values_have_equal_texts() -> None:
    assert encode(decode(Participant, encode(PERSON))) == encode(PERSON)


def test_what_another_version_wrote_is_read_as_far_as_it_is_known() -> None:
    assert decode_event("polls_opened", "{}") is None
    assert decode(events.SlotAssignment, '{"mid":"4","brightness":7}') == events.SlotAssignment("4")


def test_cursors_come_back_as_they_were_and_fit_the_contract() -> None:
    cursor = Cursor("12345678901", "0123abcd", "1795231073715-42")

    assert parse(str(cursor), "12345678901") == cursor
    assert len(str(cursor)) <= 64


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.12345678901.0123abcd.1795231073715",
        "2.12345678901.0123abcd.1-1",
        "1.12345678901.0123abcd.1-1\n",
        "\0",
    ],
)
def test_texts_that_are_no_cursors_are_refused(text: str) -> None:
    with pytest.raises(DomainError) as refused:
        parse(text, "12345678901")

    assert refused.value.reason == "CURSOR_INVALID"


def test_positions_are_ordered_by_number_not_by_text() -> None:
    assert order("9-10") < order("10-2") < order("10-11")
