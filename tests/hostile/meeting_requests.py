"""Bad requests about planning, starting and ending meetings."""

from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode

from parley.meeting.v1 import meeting_pb2
from parley.meeting.v1 import meeting_service_pb2 as meetings
from tests.support.hostile import PASSCODE, Request, World

_BAD, _MISSING = StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND
_CONFLICT, _DENIED = StatusCode.FAILED_PRECONDITION, StatusCode.PERMISSION_DENIED
_CREATE, _GET, _LIST = "MeetingService.CreateMeeting", "MeetingService.GetMeeting", "MeetingService.ListMeetings"
_UPDATE, _DELETE = "MeetingService.UpdateMeeting", "MeetingService.DeleteMeeting"
_START, _END, _LOOK = "MeetingService.StartMeeting", "MeetingService.EndMeeting", "MeetingService.LookUpMeeting"
_SOON = Timestamp(seconds=4_000_000_000)
_SCHEDULED = meeting_pb2.MEETING_TYPE_SCHEDULED


def _create(request_id: str = "", **fields: Any) -> meetings.CreateMeetingRequest:  # noqa: ANN401 - proto fields
    return meetings.CreateMeetingRequest(meeting=meeting_pb2.Meeting(**fields), request_id=request_id)


def _settings(**fields: Any) -> meetings.CreateMeetingRequest:  # noqa: ANN401 - proto fields
    return _create(settings=meeting_pb2.MeetingSettings(**fields))


def _update(world: World, key: str, *paths: str, **fields: Any) -> meetings.UpdateMeetingRequest:  # noqa: ANN401
    meeting = meeting_pb2.Meeting(name=world.meetings[key].name, **fields)
    return meetings.UpdateMeetingRequest(meeting=meeting, update_mask=FieldMask(paths=paths))


def _look_up(world: World, key: str, passcode: str) -> meetings.LookUpMeetingRequest:
    return meetings.LookUpMeetingRequest(name=world.meetings[key].name, passcode=passcode)


def _nobody(_: World) -> None:
    return None


def _participant(key: str) -> Any:  # noqa: ANN401 - a token getter
    return lambda world: world.people[key].token


REQUESTS = [
    Request("a meeting without a token", _CREATE, lambda _: _create(topic="x"), StatusCode.UNAUTHENTICATED,
            "TOKEN_MISSING", token=_nobody),
    Request("a bad meeting without a token: who is asked first", _CREATE, lambda _: _create(topic="x" * 201),
            StatusCode.UNAUTHENTICATED, "TOKEN_MISSING", token=_nobody),
    Request("no meeting at all", _CREATE, lambda _: meetings.CreateMeetingRequest(), _BAD, "INVALID_ARGUMENT",
            "meeting", only=("grpc", "grpc-web")),
    Request("a topic of 201 characters", _CREATE, lambda _: _create(topic="x" * 201), _BAD, "INVALID_ARGUMENT",
            "meeting.topic"),
    Request("a topic of a megabyte", _CREATE, lambda _: _create(topic="\U0001f600" * 250_000), _BAD,
            "INVALID_ARGUMENT", "meeting.topic", only=("grpc", "grpc-web")),
    Request("a passcode of bad characters", _CREATE, lambda _: _create(passcode="a b;--"), _BAD, "INVALID_ARGUMENT",
            "meeting.passcode"),
    Request("a passcode in look-alike digits", _CREATE, lambda _: _create(passcode="\uff11\uff12\uff13\uff14"), _BAD,
            "INVALID_ARGUMENT", "meeting.passcode"),
    Request("a type that is no type", _CREATE, lambda _: _create(type=99), _BAD, "INVALID_ARGUMENT", "meeting.type"),
    Request("a recurring meeting", _CREATE,
            lambda _: _create(type=meeting_pb2.MEETING_TYPE_RECURRING, scheduled_start_time=_SOON),
            StatusCode.UNIMPLEMENTED, "MEETING_TYPE_NOT_SUPPORTED"),
    Request("a scheduled meeting without a time", _CREATE, lambda _: _create(type=_SCHEDULED), _BAD,
            "INVALID_ARGUMENT", "meeting.scheduled_start_time"),
    Request("an instant meeting with a time", _CREATE, lambda _: _create(scheduled_start_time=_SOON), _BAD,
            "INVALID_ARGUMENT", "meeting.scheduled_start_time"),
    Request("a meeting of one second", _CREATE,
            lambda _: _create(type=_SCHEDULED, scheduled_start_time=_SOON, scheduled_duration=Duration(seconds=1)),
            _BAD, "INVALID_ARGUMENT", "meeting.scheduled_duration"),
    Request("a time zone on no map", _CREATE,
            lambda _: _create(type=_SCHEDULED, scheduled_start_time=_SOON, time_zone="Mars/Olympus"), _BAD,
            "TIME_ZONE_UNKNOWN", "meeting.time_zone"),
    Request("a time zone that is a path", _CREATE,
            lambda _: _create(type=_SCHEDULED, scheduled_start_time=_SOON, time_zone="../../etc/passwd"), _BAD,
            "TIME_ZONE_UNKNOWN", "meeting.time_zone"),
    Request("room for one", _CREATE, lambda _: _settings(max_participants=1), _BAD, "INVALID_ARGUMENT",
            "meeting.settings.max_participants"),
    Request("room for 1001", _CREATE, lambda _: _settings(max_participants=1001), _BAD, "INVALID_ARGUMENT",
            "meeting.settings.max_participants"),
    Request("a region in capitals", _CREATE, lambda _: _settings(preferred_region="EU"), _BAD, "INVALID_ARGUMENT",
            "meeting.settings.preferred_region"),
    Request("a request id used for something else", _CREATE,
            lambda world: _create(world.facts["used request_id"], topic="second"), StatusCode.ABORTED,
            "REQUEST_ID_REUSED"),
    Request("a meeting by a guest of another one", _CREATE, lambda _: _create(topic="x"), _DENIED,
            "TOKEN_KIND_NOT_ALLOWED", token=lambda world: world.tokens["guest-open"]),
    Request("somebody else's meeting", _GET,
            lambda world: meetings.GetMeetingRequest(name=world.meetings["foreign"].name), _MISSING,
            "MEETING_NOT_FOUND"),
    Request("an unknown meeting", _GET, lambda _: meetings.GetMeetingRequest(name="meetings/10000000000"), _MISSING,
            "MEETING_NOT_FOUND"),
    Request("a meeting name out of shape", _GET, lambda _: meetings.GetMeetingRequest(name="meetings/0123"), _BAD,
            "INVALID_ARGUMENT", "name"),
    Request("a negative page", _LIST, lambda _: meetings.ListMeetingsRequest(page_size=-1), _BAD, "INVALID_ARGUMENT",
            "page_size"),
    Request("a page of 201", _LIST, lambda _: meetings.ListMeetingsRequest(page_size=201), _BAD, "INVALID_ARGUMENT",
            "page_size"),
    Request("a page token of garbage", _LIST, lambda _: meetings.ListMeetingsRequest(page_token="garbage"), _BAD,
            "PAGE_TOKEN_INVALID", "page_token"),
    Request("a state that is no state", _LIST, lambda _: meetings.ListMeetingsRequest(state=77), _BAD,  # type: ignore[arg-type]
            "INVALID_ARGUMENT", "state", only=("grpc", "grpc-web")),
    Request("an update without a mask", _UPDATE,
            lambda world: meetings.UpdateMeetingRequest(meeting=meeting_pb2.Meeting(name=world.meetings["open"].name)),
            _BAD, "INVALID_ARGUMENT", "update_mask"),
    Request("an update of an unknown field", _UPDATE, lambda world: _update(world, "open", "price"), _BAD,
            "UPDATE_MASK_INVALID", "update_mask", only=("grpc", "grpc-web")),
    Request("an update of the host", _UPDATE, lambda world: _update(world, "open", "host", host=world.other.name), _BAD,
            "UPDATE_MASK_INVALID", "update_mask"),
    Request("an update to a bad passcode", _UPDATE, lambda world: _update(world, "open", "passcode", passcode="!"),
            _BAD, "INVALID_ARGUMENT", "meeting.passcode"),
    Request("an update with an old etag", _UPDATE,
            lambda world: _update(world, "open", "topic", topic="late", etag="old"), StatusCode.ABORTED,
            "ETAG_MISMATCH"),
    Request("an update of an ended meeting", _UPDATE, lambda world: _update(world, "ended", "topic", topic="late"),
            _CONFLICT, "MEETING_ENDED"),
    Request("an update of somebody else's meeting", _UPDATE,
            lambda world: _update(world, "foreign", "topic", topic="mine"), _MISSING, "MEETING_NOT_FOUND"),
    Request("deleting a meeting that goes on", _DELETE,
            lambda world: meetings.DeleteMeetingRequest(name=world.meetings["open"].name), _CONFLICT,
            "MEETING_STATE_CONFLICT"),
    Request("deleting with an old etag", _DELETE,
            lambda world: meetings.DeleteMeetingRequest(name=world.meetings["planned"].name, etag="old"),
            StatusCode.ABORTED, "ETAG_MISMATCH"),
    Request("deleting somebody else's meeting", _DELETE,
            lambda world: meetings.DeleteMeetingRequest(name=world.meetings["foreign"].name), _MISSING,
            "MEETING_NOT_FOUND"),
    Request("starting an ended meeting", _START,
            lambda world: meetings.StartMeetingRequest(name=world.meetings["ended"].name), _CONFLICT, "MEETING_ENDED"),
    Request("starting somebody else's meeting", _START,
            lambda world: meetings.StartMeetingRequest(name=world.meetings["foreign"].name), _MISSING,
            "MEETING_NOT_FOUND"),
    Request("a participant ending the meeting", _END,
            lambda world: meetings.EndMeetingRequest(name=world.meetings["open"].name), _DENIED, "PERMISSION_DENIED",
            token=_participant("guest")),
    Request("another meeting's host ending this one", _END,
            lambda world: meetings.EndMeetingRequest(name=world.meetings["open"].name), _MISSING, "MEETING_NOT_FOUND",
            token=_participant("foreign")),
    Request("a guest starting a host's meeting", _START,
            lambda world: meetings.StartMeetingRequest(name=world.meetings["planned"].name), _DENIED,
            "TOKEN_KIND_NOT_ALLOWED", token=lambda world: world.tokens["guest-open"]),
    Request("a look at a meeting with a wrong passcode", _LOOK, lambda world: _look_up(world, "not-started", "0000"),
            _DENIED, "PASSCODE_WRONG", token=_nobody),
    Request("a look at an ended meeting", _LOOK, lambda world: _look_up(world, "ended", PASSCODE), _CONFLICT,
            "MEETING_ENDED", token=_nobody),
    Request("a look at an unknown meeting", _LOOK,
            lambda _: meetings.LookUpMeetingRequest(name="meetings/10000000000", passcode=PASSCODE), _MISSING,
            "MEETING_NOT_FOUND", token=_nobody),
]  # fmt: skip
