"""Records that replicas of another version wrote are read as far as they are known, and written back whole."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from control_plane.accounts import convert as accounts_convert
from control_plane.accounts import model as user
from control_plane.accounts.model import Plan, UserKind
from control_plane.kernel.records import UnreadableRecordError, decode, encode, read_enum
from control_plane.kernel.roles import ParticipantRole
from control_plane.log import convert as log_convert
from control_plane.log import events as log_events
from control_plane.log import participant
from control_plane.log.participant import (
    LeaveReason,
    Participant,
    ParticipantEvent,
    ParticipantState,
    Track,
    TrackKind,
    TrackSource,
)
from control_plane.meetings import convert as meetings_convert
from control_plane.meetings import model as meeting
from control_plane.meetings.model import Meeting, MeetingEvent, MeetingSettings, MeetingState, MeetingType, advance
from control_plane.nodes import model as node
from control_plane.nodes.model import NodeState
from control_plane.rooms import rpc as rooms_rpc

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TRACK = Track("0", TrackKind.AUDIO, TrackSource.MICROPHONE)
PERSON = Participant("p", "Ana", ParticipantRole.HOST, ParticipantState.CONNECTED, NOW, tracks=(TRACK,))
MEETING = Meeting("12345678901", "host", "Hanna", "1", MeetingType.INSTANT, MeetingState.ACTIVE, NOW, NOW)
STORED = [
    LeaveReason,
    MeetingState,
    MeetingType,
    NodeState,
    ParticipantRole,
    ParticipantState,
    Plan,
    TrackKind,
    TrackSource,
    UserKind,
]


def newer(value: object, **changes: object) -> str:
    """The record of a value as a newer version would have written it."""
    return json.dumps({**json.loads(encode(value)), **changes})


def test_all_enums_that_stores_keep_have_a_member_for_what_a_newer_version_wrote() -> None:
    kept_nowhere = {MeetingEvent, participant.ParticipantEvent}
    kept_nowhere |= {node.NodeEvent, user.Spending}
    found = {
        kind
        for module in (meeting, node, participant, user)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, enum.Enum) and kind is not enum.Enum
    }

    assert found - kept_nowhere == set(STORED)


@pytest.mark.parametrize("kind", STORED)
def test_a_value_that_is_not_known_is_read_as_such(kind: type[enum.Enum]) -> None:
    assert read_enum(kind, "of_tomorrow").name == "UNKNOWN"
    with pytest.raises(UnreadableRecordError):
        read_enum(kind, 7)


def test_every_kept_value_has_its_place_in_the_contract() -> None:
    tables: list[tuple[Mapping[Any, int], type[enum.Enum]]] = [
        (log_convert._ROLES, ParticipantRole),
        (log_convert._STATES, ParticipantState),
        (log_convert._KINDS, TrackKind),
        (log_convert._SOURCES, TrackSource),
        (log_events._REASONS, LeaveReason),
        (meetings_convert._TYPES, MeetingType),
        (meetings_convert._STATES, MeetingState),
        (accounts_convert._KINDS, UserKind),
        (accounts_convert._PLANS, Plan),
        (rooms_rpc._STATES, NodeState),
    ]
    for table, kind in tables:
        assert set(table) == set(kind)
        assert [member.name for member, value in table.items() if value == 0] == ["UNKNOWN"]


def test_equal_values_have_equal_texts() -> None:
    assert decode(Participant, encode(PERSON)) == PERSON
    assert encode(decode(Participant, encode(PERSON))) == encode(PERSON)


def test_what_is_not_known_survives_a_change_of_something_else() -> None:
    text = newer(
        PERSON, state="in_the_lobby", pronouns="they", tracks=[{**json.loads(encode(TRACK)), "language": "en"}]
    )

    read = decode(Participant, text)
    assert (read.state, read.tracks[0].kind) == (ParticipantState.UNKNOWN, TrackKind.AUDIO)
    (track,) = read.tracks
    written = json.loads(encode(replace(read, display_name="Anna", tracks=(replace(track, muted=True),))))

    assert written["display_name"] == "Anna"
    assert (written["state"], written["pronouns"]) == ("in_the_lobby", "they")
    assert written["tracks"] == [{**json.loads(encode(TRACK)), "muted": True, "language": "en"}]
    assert decode(Participant, json.dumps(written)).tracks[0].muted


def test_what_this_version_sets_is_no_longer_what_another_wrote() -> None:
    read = decode(Participant, newer(PERSON, state="in_the_lobby"))

    left = participant.advance(read, ParticipantEvent.DEPARTED)

    assert json.loads(encode(left))["state"] == "left"


def test_a_meetings_unknown_settings_are_kept_and_not_shown() -> None:
    read = decode(Meeting, newer(MEETING, state="paused", settings={"e2ee": True, "max_participants": 7}))

    assert read.settings.max_participants == 7
    assert json.loads(encode(read))["settings"]["e2ee"] is True
    assert meetings_convert.meeting_to_proto(read).state == 0
    assert advance(read, MeetingEvent.END, NOW).state is MeetingState.ENDED
    assert "e2ee" not in repr(read), "a fingerprint of a request must not depend on the version that makes it"


def test_unknown_roles_and_types_give_no_rights() -> None:
    assert not decode(Participant, newer(PERSON, role="owner")).role.may_publish


@pytest.mark.parametrize("event", [one for one in ParticipantEvent if one is not ParticipantEvent.ADMITTED])
def test_a_state_that_is_not_known_stays_until_the_end(event: ParticipantEvent) -> None:
    after = participant.step(ParticipantState.UNKNOWN, event)

    assert after is (ParticipantState.LEFT if event is ParticipantEvent.DEPARTED else ParticipantState.UNKNOWN)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        '"Participant"',
        "{}",
        "[" * 100_000,
        newer(PERSON, join_time="yesterday"),
        newer(PERSON, join_time=None),
        newer(PERSON, display_name=7),
        newer(PERSON, role=["host"]),
        newer(PERSON, tracks=[{"mid": 0}]),
        newer(PERSON, tracks=7),
        newer(PERSON, epoch="many"),
        newer(PERSON, epoch=True),
        newer(PERSON, display_name="half a pair: \ud83d"),
    ],
)
def test_what_can_not_be_read_is_one_error_that_tells_nothing_of_its_content(text: str) -> None:
    with pytest.raises(UnreadableRecordError) as unreadable:
        decode(Participant, text)

    assert "yesterday" not in str(unreadable.value)
    assert "Ana" not in str(unreadable.value)


def test_settings_of_a_newer_version_are_settings() -> None:
    assert decode(MeetingSettings, '{"e2ee":true}') == replace(MeetingSettings(), others='{"e2ee":true}')
