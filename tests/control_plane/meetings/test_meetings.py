from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import grpc
import pytest
import pytest_asyncio
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from control_plane.accounts.tokens import Tokens, load_signing_key
from control_plane.kernel.ids import SystemIds
from control_plane.kernel.roles import ParticipantRole
from parley.identity.v1 import identity_service_pb2 as identity
from parley.meeting.v1 import meeting_pb2
from parley.meeting.v1 import meeting_service_pb2 as pb
from tests.support.control_plane import Running, bearer, refusal

TOMORROW = Timestamp(seconds=4_000_000_000)
SCHEDULED = meeting_pb2.MEETING_TYPE_SCHEDULED
Metadata = tuple[tuple[str, str], ...]


@pytest_asyncio.fixture
async def ada(plane: Running) -> AsyncIterator[str]:
    """Access token of somebody with an account."""
    yield (await plane.sign_up("Ada")).credentials.access_token


@pytest_asyncio.fixture
async def bob(plane: Running) -> AsyncIterator[str]:
    """Access token of somebody else."""
    yield (await plane.sign_up("Bob")).credentials.access_token


async def get(plane: Running, token: str, name: str) -> meeting_pb2.Meeting:
    return (await plane.plans.GetMeeting(pb.GetMeetingRequest(name=name), metadata=bearer(token))).meeting


async def update(
    plane: Running, token: str, meeting: meeting_pb2.Meeting, *paths: str, request_id: str = ""
) -> meeting_pb2.Meeting:
    request = pb.UpdateMeetingRequest(meeting=meeting, update_mask=FieldMask(paths=paths), request_id=request_id)
    return (await plane.plans.UpdateMeeting(request, metadata=bearer(token))).meeting


async def test_a_new_meeting_has_the_contracts_defaults_and_a_link(plane: Running, ada: str) -> None:
    meeting = await plane.create(ada)
    assert re.fullmatch(r"meetings/[1-9][0-9]{10}", meeting.name)
    assert re.fullmatch(r"[0-9]{6}", meeting.passcode)
    assert meeting.join_uri == f"http://localhost:8080/j/{meeting.name.split('/')[1]}#{meeting.passcode}"
    assert (meeting.type, meeting.state) == (meeting_pb2.MEETING_TYPE_INSTANT, meeting_pb2.MEETING_STATE_SCHEDULED)
    assert meeting.host_display_name == "Ada"
    assert meeting.scheduled_duration.seconds == 3600
    settings = meeting.settings
    assert (settings.join_before_host, settings.guests_allowed, settings.max_participants) == (True, True, 100)
    assert (settings.mute_on_entry, settings.waiting_room) == (False, False)
    assert await get(plane, ada, meeting.name) == meeting


async def test_a_scheduled_meeting_keeps_what_was_planned(plane: Running, ada: str) -> None:
    meeting = await plane.create(
        ada,
        topic="Weekly 🎉",
        type=SCHEDULED,
        passcode="let.me-in",
        scheduled_start_time=TOMORROW,
        time_zone="Europe/Zurich",
        settings=meeting_pb2.MeetingSettings(join_before_host=False, max_participants=2, preferred_region="eu-west"),
    )
    assert meeting.scheduled_start_time.ToDatetime(UTC) == datetime.fromtimestamp(4_000_000_000, UTC)
    assert (meeting.topic, meeting.passcode, meeting.time_zone) == ("Weekly 🎉", "let.me-in", "Europe/Zurich")
    assert (meeting.settings.join_before_host, meeting.settings.max_participants) == (False, 2)
    assert meeting.settings.preferred_region == "eu-west"


@pytest.mark.parametrize(
    ("fields", "code", "reason", "field"),
    [
        ({"type": SCHEDULED}, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "meeting.scheduled_start_time"),
        ({"scheduled_start_time": TOMORROW}, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "meeting.scheduled_start_time"),
        ({"time_zone": "Mars/Olympus"}, "INVALID_ARGUMENT", "TIME_ZONE_UNKNOWN", "meeting.time_zone"),
        ({"topic": "a\0b"}, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "meeting.topic"),
        ({"topic": "x\u202ey"}, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "meeting.topic"),
        (
            {"settings": meeting_pb2.MeetingSettings(waiting_room=True)},
            "INVALID_ARGUMENT",
            "INVALID_ARGUMENT",
            "meeting.settings.waiting_room",
        ),
        *(
            ({"type": kind, "scheduled_start_time": TOMORROW}, "UNIMPLEMENTED", "MEETING_TYPE_NOT_SUPPORTED", "")
            for kind in (
                meeting_pb2.MEETING_TYPE_RECURRING,
                meeting_pb2.MEETING_TYPE_WEBINAR,
                meeting_pb2.MEETING_TYPE_PERSONAL,
            )
        ),
    ],
)
async def test_plans_that_can_not_be(
    plane: Running, ada: str, fields: dict[str, object], code: str, reason: str, field: str
) -> None:
    error = await refusal(plane.create(ada, **fields))
    assert (error.code.name, error.reason) == (code, reason)
    assert [each.field for each in error.field_violations] == ([field] if field else [])


async def test_guests_host_instant_meetings_only(plane: Running) -> None:
    answer = await plane.accounts.CreateGuestSession(identity.CreateGuestSessionRequest())
    token = answer.credentials.access_token
    meeting = await plane.create(token)
    assert meeting.host == answer.user.name
    error = await refusal(plane.create(token, type=SCHEDULED, scheduled_start_time=TOMORROW))
    assert (error.code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")


async def test_a_meeting_is_created_once_for_a_request_id(plane: Running, ada: str, bob: str) -> None:
    request = pb.CreateMeetingRequest(
        meeting=meeting_pb2.Meeting(topic="Once"), request_id="7d444840-9dc0-11d1-b245-5ffdce74fad2"
    )
    answers = await asyncio.gather(*(plane.plans.CreateMeeting(request, metadata=bearer(ada)) for _ in range(5)))
    assert len({answer.meeting.name for answer in answers}) == 1
    # Another caller's request id is another request id.
    other = await plane.plans.CreateMeeting(request, metadata=bearer(bob))
    assert other.meeting.name != answers[0].meeting.name
    request.meeting.topic = "Twice"
    error = await refusal(plane.plans.CreateMeeting(request, metadata=bearer(ada)))
    assert (error.code, error.reason) == (grpc.StatusCode.ABORTED, "REQUEST_ID_REUSED")


async def test_lists_come_in_pages_and_by_state_and_hold_only_ones_own(plane: Running, ada: str, bob: str) -> None:
    made = [(await plane.create(ada, topic=str(number))).name for number in range(5)]
    await plane.create(bob)
    await plane.plans.StartMeeting(pb.StartMeetingRequest(name=made[2]), metadata=bearer(ada))
    seen, token = [], ""
    while True:
        page = await plane.plans.ListMeetings(
            pb.ListMeetingsRequest(page_size=2, page_token=token), metadata=bearer(ada)
        )
        seen += [one.name for one in page.meetings]
        if seen[:2] == made[:2:-1]:
            await plane.create(ada, topic="comes in between, and is on no later page")
        token = page.next_page_token
        if not token:
            break
        error = await refusal(plane.plans.ListMeetings(pb.ListMeetingsRequest(page_token=token), metadata=bearer(bob)))
        assert error.reason == "PAGE_TOKEN_INVALID"
    assert seen == made[::-1]
    active = await plane.plans.ListMeetings(
        pb.ListMeetingsRequest(state=meeting_pb2.MEETING_STATE_ACTIVE), metadata=bearer(ada)
    )
    assert [one.name for one in active.meetings] == [made[2]]


async def test_an_update_changes_what_its_mask_names(plane: Running, ada: str) -> None:
    before = await plane.create(ada, topic="Old", passcode="1234")
    wanted = meeting_pb2.Meeting(
        name=before.name,
        topic="New",
        passcode="9999",
        settings=meeting_pb2.MeetingSettings(mute_on_entry=True, max_participants=5),
    )
    after = await update(plane, ada, wanted, "topic", "settings.mute_on_entry")
    assert (after.topic, after.passcode) == ("New", "1234")
    assert (after.settings.mute_on_entry, after.settings.max_participants) == (True, 100)
    assert after.etag != before.etag
    assert after.update_time.ToNanoseconds() > before.update_time.ToNanoseconds()
    assert await get(plane, ada, before.name) == after
    fresh = await update(plane, ada, meeting_pb2.Meeting(name=before.name), "passcode")
    assert re.fullmatch(r"[0-9]{6}", fresh.passcode)
    assert fresh.join_uri.endswith(f"#{fresh.passcode}")


async def test_an_update_with_an_etag_fails_when_somebody_was_faster(plane: Running, ada: str) -> None:
    read = await plane.create(ada)
    mine = meeting_pb2.Meeting(name=read.name, etag=read.etag, topic="Mine")
    yours = meeting_pb2.Meeting(name=read.name, etag=read.etag, topic="Yours")
    results = await asyncio.gather(
        update(plane, ada, mine, "topic"), update(plane, ada, yours, "topic"), return_exceptions=True
    )
    failures = [one for one in results if isinstance(one, BaseException)]
    assert len(failures) == 1
    assert isinstance(failures[0], grpc.aio.AioRpcError)
    assert failures[0].code() is grpc.StatusCode.ABORTED


async def test_an_instant_meeting_can_not_be_given_a_time(plane: Running, ada: str) -> None:
    meeting = await plane.create(ada)
    wanted = meeting_pb2.Meeting(name=meeting.name, scheduled_start_time=TOMORROW)
    error = await refusal(update(plane, ada, wanted, "scheduled_start_time"))
    assert error.field_violations[0].field == "meeting.scheduled_start_time"


async def test_a_meetings_life(plane: Running, ada: str) -> None:
    name, metadata = (await plane.create(ada)).name, bearer(ada)
    for _ in range(2):
        started = (await plane.plans.StartMeeting(pb.StartMeetingRequest(name=name), metadata=metadata)).meeting
        assert started.state == meeting_pb2.MEETING_STATE_ACTIVE
    error = await refusal(plane.plans.DeleteMeeting(pb.DeleteMeetingRequest(name=name), metadata=metadata))
    assert (error.reason, error.metadata["state"]) == ("MEETING_STATE_CONFLICT", "ACTIVE")
    for _ in range(2):
        ended = (await plane.plans.EndMeeting(pb.EndMeetingRequest(name=name), metadata=metadata)).meeting
        assert ended.state == meeting_pb2.MEETING_STATE_ENDED
        assert ended.start_time == started.start_time
        assert ended.HasField("end_time")
    error = await refusal(plane.plans.StartMeeting(pb.StartMeetingRequest(name=name), metadata=metadata))
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "MEETING_ENDED")
    await plane.plans.DeleteMeeting(pb.DeleteMeetingRequest(name=name), metadata=metadata)
    assert (await refusal(get(plane, ada, name))).reason == "MEETING_NOT_FOUND"


async def test_the_number_of_a_deleted_meeting_is_never_used_again(
    plane: Running, ada: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = (await plane.create(ada, topic="Secret plans")).name
    await plane.plans.DeleteMeeting(pb.DeleteMeetingRequest(name=name), metadata=bearer(ada))
    numbers = iter([name.split("/")[1], "98765432109"])
    monkeypatch.setattr(SystemIds, "meeting_number", lambda _self: next(numbers))
    assert (await plane.create(ada)).name == "meetings/98765432109"


async def test_what_is_not_yours_does_not_exist(plane: Running, ada: str, bob: str) -> None:
    name, metadata = (await plane.create(ada)).name, bearer(bob)
    calls = [
        plane.plans.GetMeeting(pb.GetMeetingRequest(name=name), metadata=metadata),
        plane.plans.DeleteMeeting(pb.DeleteMeetingRequest(name=name), metadata=metadata),
        plane.plans.StartMeeting(pb.StartMeetingRequest(name=name), metadata=metadata),
        plane.plans.EndMeeting(pb.EndMeetingRequest(name=name), metadata=metadata),
        update(plane, bob, meeting_pb2.Meeting(name=name, topic="Mine"), "topic"),
        plane.plans.GetMeeting(pb.GetMeetingRequest(name="meetings/99999999999"), metadata=metadata),
    ]
    errors = [await refusal(call) for call in calls]
    assert {(error.code, error.reason, error.message) for error in errors} == {
        (grpc.StatusCode.NOT_FOUND, "MEETING_NOT_FOUND", errors[0].message)
    }


async def test_looking_up_needs_the_passcode_unless_one_is_host(plane: Running, ada: str, bob: str) -> None:
    meeting = await plane.create(ada, topic="Plans", passcode="1234")
    request = pb.LookUpMeetingRequest(name=meeting.name)
    host = await plane.plans.LookUpMeeting(request, metadata=bearer(ada))
    assert (host.topic, host.caller_is_host, host.host_display_name) == ("Plans", True, "Ada")
    for metadata in (None, bearer(bob)):
        error = await refusal(plane.plans.LookUpMeeting(request, metadata=metadata))
        assert (error.code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PASSCODE_WRONG")
        good = pb.LookUpMeetingRequest(name=meeting.name, passcode="1234")
        assert not (await plane.plans.LookUpMeeting(good, metadata=metadata)).caller_is_host


async def test_passcodes_can_not_be_tried_for_ever(plane: Running, ada: str) -> None:
    meeting, other = await plane.create(ada, passcode="1234"), await plane.create(ada, passcode="1234")

    def attempt(name: str, passcode: str) -> identity.CreateGuestSessionRequest:
        return identity.CreateGuestSessionRequest(meeting=name, passcode=passcode)

    errors = await asyncio.gather(
        *(refusal(plane.accounts.CreateGuestSession(attempt(meeting.name, "0000"))) for _ in range(12))
    )
    reasons = [error.reason for error in errors]
    assert (reasons.count("PASSCODE_WRONG"), reasons.count("PASSCODE_ATTEMPTS_EXCEEDED")) == (10, 2)
    assert sorted(int(error.metadata["attempts_left"]) for error in errors if error.metadata) == list(range(10))
    right = await refusal(plane.accounts.CreateGuestSession(attempt(meeting.name, "1234")))
    assert (right.code, right.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "PASSCODE_ATTEMPTS_EXCEEDED")
    assert right.retry_after is not None
    # The count is this meeting's alone.
    await plane.accounts.CreateGuestSession(attempt(other.name, "1234"))


async def test_a_guest_of_a_meeting_can_look_at_it_and_nothing_else(plane: Running, ada: str) -> None:
    meeting = await plane.create(ada, passcode="1234")
    answer = await plane.accounts.CreateGuestSession(
        identity.CreateGuestSessionRequest(meeting=meeting.name, passcode="1234")
    )
    assert answer.credentials.refresh_token == answer.credentials.session == ""
    assert not answer.HasField("user")
    metadata = bearer(answer.credentials.access_token)
    seen = await plane.plans.LookUpMeeting(pb.LookUpMeetingRequest(name=meeting.name), metadata=metadata)
    assert not seen.caller_is_host
    error = await refusal(plane.plans.GetMeeting(pb.GetMeetingRequest(name=meeting.name), metadata=metadata))
    assert (error.code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "TOKEN_KIND_NOT_ALLOWED")


async def test_guests_are_let_in_only_where_they_are_allowed_and_while_it_goes_on(plane: Running, ada: str) -> None:
    closed = await plane.create(ada, passcode="1234", settings=meeting_pb2.MeetingSettings(guests_allowed=False))
    error = await refusal(
        plane.accounts.CreateGuestSession(identity.CreateGuestSessionRequest(meeting=closed.name, passcode="1234"))
    )
    assert (error.code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "GUESTS_NOT_ALLOWED")
    over = await plane.create(ada, passcode="1234")
    await plane.plans.EndMeeting(pb.EndMeetingRequest(name=over.name), metadata=bearer(ada))
    error = await refusal(
        plane.accounts.CreateGuestSession(identity.CreateGuestSessionRequest(meeting=over.name, passcode="1234"))
    )
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "MEETING_ENDED")


async def test_a_host_ends_the_meeting_from_inside_and_others_do_not(plane: Running, ada: str) -> None:
    meeting = await plane.create(ada)
    number = meeting.name.split("/")[1]
    tokens = Tokens(load_signing_key(plane.settings.signing_key_file), plane.clock, SystemIds())
    request = pb.EndMeetingRequest(name=meeting.name)
    someone = SystemIds().uuid()

    async def attempt(meeting_number: str, role: ParticipantRole) -> str:
        token = tokens.issue(meeting_number, someone, role).text
        return (await refusal(plane.plans.EndMeeting(request, metadata=bearer(token)))).reason

    assert await attempt(number, ParticipantRole.PARTICIPANT) == "PERMISSION_DENIED"
    assert await attempt(number, ParticipantRole.CO_HOST) == "PERMISSION_DENIED"
    assert await attempt("99999999999", ParticipantRole.HOST) == "MEETING_NOT_FOUND"
    token = tokens.issue(number, someone, ParticipantRole.HOST).text
    ended = (await plane.plans.EndMeeting(request, metadata=bearer(token))).meeting
    assert ended.state == meeting_pb2.MEETING_STATE_ENDED


async def test_a_host_gives_a_new_passcode_with_one_call_from_inside_or_outside(plane: Running, ada: str) -> None:
    meeting = await plane.create(ada)
    number = meeting.name.split("/")[1]
    tokens = Tokens(load_signing_key(plane.settings.signing_key_file), plane.clock, SystemIds())
    inside = tokens.issue(number, SystemIds().uuid(), ParticipantRole.HOST).text
    seen = {meeting.passcode}
    for token in (ada, inside):
        request = pb.RegeneratePasscodeRequest(name=meeting.name, request_id=SystemIds().uuid())
        fresh = (await plane.plans.RegeneratePasscode(request, metadata=bearer(token))).meeting
        again = (await plane.plans.RegeneratePasscode(request, metadata=bearer(token))).meeting
        assert re.fullmatch(r"[0-9]{10}", fresh.passcode)
        assert fresh.join_uri.endswith(f"#{fresh.passcode}")
        assert again.passcode == fresh.passcode
        seen.add(fresh.passcode)
    assert len(seen) == 3
    old = pb.LookUpMeetingRequest(name=meeting.name, passcode=meeting.passcode)
    assert (await refusal(plane.plans.LookUpMeeting(old))).reason == "PASSCODE_WRONG"


async def test_nobody_else_gives_a_new_passcode(plane: Running, ada: str, bob: str) -> None:
    meeting = await plane.create(ada)
    number = meeting.name.split("/")[1]
    tokens = Tokens(load_signing_key(plane.settings.signing_key_file), plane.clock, SystemIds())
    request = pb.RegeneratePasscodeRequest(name=meeting.name)
    someone = SystemIds().uuid()

    async def attempt(token: str) -> str:
        return (await refusal(plane.plans.RegeneratePasscode(request, metadata=bearer(token)))).reason

    assert await attempt(bob) == "MEETING_NOT_FOUND"
    assert await attempt(tokens.issue(number, someone, ParticipantRole.PARTICIPANT).text) == "PERMISSION_DENIED"
    assert await attempt(tokens.issue("99999999999", someone, ParticipantRole.HOST).text) == "MEETING_NOT_FOUND"
    await plane.plans.EndMeeting(pb.EndMeetingRequest(name=meeting.name), metadata=bearer(ada))
    assert await attempt(ada) == "MEETING_ENDED"


async def test_a_new_passcode_lets_those_in_who_were_shut_out(plane: Running, ada: str) -> None:
    meeting = await plane.create(ada)
    for number in range(11):
        wrong = pb.LookUpMeetingRequest(name=meeting.name, passcode=f"wrong-{number}")
        error = await refusal(plane.plans.LookUpMeeting(wrong))
    assert error.reason == "PASSCODE_ATTEMPTS_EXCEEDED"
    assert error.retry_after is not None
    assert error.retry_after <= 90
    fresh = await plane.plans.RegeneratePasscode(pb.RegeneratePasscodeRequest(name=meeting.name), metadata=bearer(ada))
    right = pb.LookUpMeetingRequest(name=meeting.name, passcode=fresh.meeting.passcode)
    await plane.plans.LookUpMeeting(right)
