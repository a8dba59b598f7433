"""Between meetings of the domain and those of the contract."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from control_plane.kernel.errors import invalid_argument
from control_plane.meetings.errors import update_mask_invalid
from control_plane.meetings.model import (
    DEFAULT_DURATION,
    DEFAULT_MAX_PARTICIPANTS,
    Meeting,
    MeetingSettings,
    MeetingState,
    MeetingType,
)
from control_plane.meetings.plans import MeetingChange, MeetingPlan, MeetingSummary, MeetingView
from control_plane.platform.grpc.enums import enum_values
from control_plane.platform.grpc.times import duration, timestamp
from parley.meeting.v1 import meeting_pb2, meeting_service_pb2

_TYPES = enum_values(meeting_pb2.MeetingType, MeetingType)
_TYPES_BACK = {value: kind for kind, value in _TYPES.items() if kind is not MeetingType.UNKNOWN}
_STATES = enum_values(meeting_pb2.MeetingState, MeetingState)
_STATES_BACK = {value: state for state, value in _STATES.items() if state is not MeetingState.UNKNOWN}
_PLAIN_PATHS = {"topic", "passcode", "scheduled_start_time", "scheduled_duration", "time_zone"}


def meeting_number(name: str) -> str:
    """Returns the number of a resource name `meetings/{meeting}`, which was validated."""
    return name.removeprefix("meetings/")


def state_from_proto(value: meeting_pb2.MeetingState.ValueType) -> MeetingState | None:
    """Returns a state; None for UNSPECIFIED."""
    return _STATES_BACK.get(value)


def meeting_to_proto(
    meeting: Meeting, *, participant_count: int = 0, join_uri: str = "", for_host: bool = False
) -> meeting_pb2.Meeting:
    """Returns a meeting for the wire.

    Args:
        meeting: The meeting.
        participant_count: How many people are in it.
        join_uri: Its link.
        for_host: Whether its host gets it; others see neither passcode nor link nor etag.
    """
    message = meeting_pb2.Meeting(
        name=meeting.name,
        topic=meeting.topic,
        type=_TYPES[meeting.type],
        state=_STATES[meeting.state],
        host=f"users/{meeting.host_id}",
        host_display_name=meeting.host_display_name,
        scheduled_duration=duration(meeting.scheduled_duration.total_seconds()),
        time_zone=meeting.time_zone,
        settings=meeting_pb2.MeetingSettings(**_known(meeting.settings)),
        create_time=timestamp(meeting.create_time),
        update_time=timestamp(meeting.update_time),
        participant_count=participant_count,
    )
    if for_host:
        message.passcode, message.join_uri, message.etag = meeting.passcode, join_uri, meeting.etag
    for name in ("scheduled_start_time", "start_time", "end_time"):
        time: datetime | None = getattr(meeting, name)
        if time is not None:
            getattr(message, name).FromDatetime(time)
    return message


def view_to_proto(view: MeetingView) -> meeting_pb2.Meeting:
    """Returns a meeting for its host."""
    return meeting_to_proto(
        view.meeting, participant_count=view.participant_count, join_uri=view.join_uri, for_host=True
    )


def summary_to_proto(summary: MeetingSummary) -> meeting_service_pb2.LookUpMeetingResponse:
    """Returns what somebody about to join needs to know."""
    meeting = summary.meeting
    return meeting_service_pb2.LookUpMeetingResponse(
        topic=meeting.topic,
        host_display_name=meeting.host_display_name,
        state=_STATES[meeting.state],
        type=_TYPES[meeting.type],
        participant_count=summary.participant_count,
        mute_on_entry=meeting.settings.mute_on_entry,
        caller_is_host=summary.caller_is_host,
    )


def plan_from_proto(request: meeting_service_pb2.CreateMeetingRequest) -> MeetingPlan:
    """Returns what a host plans; INVALID_ARGUMENT for times that are none."""
    message = request.meeting
    return MeetingPlan(
        type=_TYPES_BACK.get(message.type, MeetingType.INSTANT),
        topic=message.topic,
        passcode=message.passcode,
        scheduled_start_time=_start(message),
        scheduled_duration=_duration(message),
        time_zone=message.time_zone,
        settings=_settings(message.settings),
        request_id=request.request_id.lower(),
    )


def change_from_proto(request: meeting_service_pb2.UpdateMeetingRequest) -> MeetingChange:
    """Returns what a host changes; UPDATE_MASK_INVALID, or INVALID_ARGUMENT for times that are none."""
    message, paths = request.meeting, list(request.update_mask.paths)
    if not paths:
        raise update_mask_invalid("")
    new_settings = _known(_settings(message.settings))
    values: dict[str, object] = {}
    settings: dict[str, object] = {}
    for path in paths:
        top, _, nested = path.partition(".")
        if path == "settings":
            settings |= new_settings
        elif top == "settings" and nested in new_settings:
            settings[nested] = new_settings[nested]
        elif path in _PLAIN_PATHS:
            values[path] = _value(message, path)
        else:
            raise update_mask_invalid(path)
    return MeetingChange(
        number=meeting_number(message.name),
        values=values,
        settings=settings,
        etag=message.etag,
        request_id=request.request_id.lower(),
    )


def _known(settings: MeetingSettings) -> dict[str, Any]:
    """Settings by name, without what a newer version wrote."""
    fields = asdict(settings)
    del fields["others"]
    return fields


def _value(message: meeting_pb2.Meeting, path: str) -> object:
    if path == "scheduled_start_time":
        return _start(message)
    if path == "scheduled_duration":
        return _duration(message)
    value: object = getattr(message, path)
    return value


def _settings(message: meeting_pb2.MeetingSettings) -> MeetingSettings:
    """The settings of a message, with the contract's defaults for those that are unset."""
    return MeetingSettings(
        mute_on_entry=message.mute_on_entry,
        join_before_host=message.join_before_host if message.HasField("join_before_host") else True,
        guests_allowed=message.guests_allowed if message.HasField("guests_allowed") else True,
        max_participants=message.max_participants or DEFAULT_MAX_PARTICIPANTS,
        waiting_room=message.waiting_room,
        preferred_region=message.preferred_region,
    )


def _start(message: meeting_pb2.Meeting) -> datetime | None:
    if not message.HasField("scheduled_start_time"):
        return None
    try:
        return message.scheduled_start_time.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise invalid_argument("meeting.scheduled_start_time", "is no time of the years 1 to 9999") from error


def _duration(message: meeting_pb2.Meeting) -> timedelta:
    return message.scheduled_duration.ToTimedelta() if message.HasField("scheduled_duration") else DEFAULT_DURATION
