"""Page tokens, messages and errors on their way out."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from control_plane.kernel.errors import DomainError, ErrorKind, QuotaViolation, invalid_argument
from control_plane.kernel.paging import Position
from control_plane.meetings.convert import change_from_proto, plan_from_proto
from control_plane.meetings.model import MeetingSettings, MeetingType
from control_plane.platform.grpc.errors import to_service_error
from control_plane.platform.grpc.page_tokens import PageTokens
from parley.meeting.v1 import meeting_pb2, meeting_service_pb2

TOKENS = PageTokens(b"k" * 32)
POSITION = Position(datetime(2026, 3, 1, 12, 0, 0, 123457, UTC), "12345678901")


def test_a_page_token_gives_back_its_position() -> None:
    assert TOKENS.decode(TOKENS.encode(POSITION, "meetings", "ada"), "meetings", "ada") == POSITION
    assert TOKENS.decode("", "meetings") is None


@pytest.mark.parametrize(
    "token",
    [
        TOKENS.encode(POSITION, "meetings", "bob"),
        TOKENS.encode(POSITION, "sessions", "ada"),
        TOKENS.encode(POSITION, "meetings", "ada")[:-1] + "A",
        PageTokens(b"j" * 32).encode(POSITION, "meetings", "ada"),
        "garbage",
        "a",
        "ä",
        "====",
        "A" * 512,
    ],
)
def test_other_page_tokens_are_refused(token: str) -> None:
    with pytest.raises(DomainError) as raised:
        TOKENS.decode(token, "meetings", "ada")
    assert raised.value.reason == "PAGE_TOKEN_INVALID"


def test_an_empty_plan_has_the_defaults_of_the_contract() -> None:
    plan = plan_from_proto(meeting_service_pb2.CreateMeetingRequest(meeting=meeting_pb2.Meeting()))
    assert plan.type is MeetingType.INSTANT
    assert plan.scheduled_duration == timedelta(hours=1)
    assert plan.settings == MeetingSettings(
        mute_on_entry=False, join_before_host=True, guests_allowed=True, max_participants=100, waiting_room=False
    )


def test_what_is_switched_off_is_no_default() -> None:
    settings = meeting_pb2.MeetingSettings(join_before_host=False, guests_allowed=False, max_participants=7)
    plan = plan_from_proto(meeting_service_pb2.CreateMeetingRequest(meeting=meeting_pb2.Meeting(settings=settings)))
    assert (plan.settings.join_before_host, plan.settings.guests_allowed) == (False, False)
    assert plan.settings.max_participants == 7


def test_a_time_that_is_none_is_an_invalid_argument() -> None:
    meeting = meeting_pb2.Meeting(scheduled_start_time=Timestamp(seconds=2**60))
    with pytest.raises(DomainError) as raised:
        plan_from_proto(meeting_service_pb2.CreateMeetingRequest(meeting=meeting))
    assert raised.value.field_violations[0].field == "meeting.scheduled_start_time"


def update(*paths: str, **fields: object) -> meeting_service_pb2.UpdateMeetingRequest:
    meeting = meeting_pb2.Meeting(name="meetings/12345678901", **fields)  # type: ignore[arg-type]
    return meeting_service_pb2.UpdateMeetingRequest(meeting=meeting, update_mask=FieldMask(paths=paths))


def test_a_mask_picks_fields_and_fields_of_settings() -> None:
    settings = meeting_pb2.MeetingSettings(mute_on_entry=True, max_participants=9)
    change = change_from_proto(update("topic", "settings.mute_on_entry", topic="x", passcode="1234", settings=settings))
    assert change.values == {"topic": "x"}
    assert change.settings == {"mute_on_entry": True}
    whole = change_from_proto(update("settings", settings=settings))
    assert whole.settings["max_participants"] == 9
    assert whole.settings["join_before_host"] is True


@pytest.mark.parametrize("path", ["host", "name", "state", "etag", "settings.price", "settings.", "topic.x", "*", ""])
def test_a_mask_with_other_fields_is_refused(path: str) -> None:
    with pytest.raises(DomainError) as raised:
        change_from_proto(update(path))
    assert raised.value.reason == "UPDATE_MASK_INVALID"


def test_every_kind_of_error_has_a_status() -> None:
    for kind in ErrorKind:
        error = to_service_error(DomainError(kind, "REASON", "text"))
        assert error is not None
        assert error.code.name == kind.name


def test_an_error_takes_all_it_says_along() -> None:
    domain = invalid_argument("topic", "is bad")
    domain.retry_after = 2.5
    domain.quota = QuotaViolation("meetings/1", "at most 2")
    error = to_service_error(domain)
    assert error is not None
    assert (error.code, error.reason, error.retry_after) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", 2.5)
    assert error.field_violations[0].field == "topic"
    assert error.quota is not None
    assert error.quota.description == "at most 2"


def test_a_foreign_exception_is_not_translated() -> None:
    assert to_service_error(RuntimeError("secret")) is None


def test_a_page_token_of_a_newer_version_is_refused_as_any_other() -> None:
    scope = ("meetings", "ada")
    for payload in (b'{"after":1}', b'[1,"x","y"]', b"[1e300,7]", b'["a","b"]'):
        token = base64.urlsafe_b64encode(TOKENS._tag(payload, scope) + payload).decode().rstrip("=")
        with pytest.raises(DomainError) as refused:
            TOKENS.decode(token, *scope)
        assert refused.value.reason == "PAGE_TOKEN_INVALID"
