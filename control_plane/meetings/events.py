"""Events of a meeting itself, as the messages that clients get, and the step that tells of a change."""

from __future__ import annotations

from control_plane.kernel.records import encode
from control_plane.log.commands import Command
from control_plane.meetings.convert import meeting_to_proto
from control_plane.meetings.model import Meeting
from control_plane.platform.grpc.names import participant_name
from parley.signaling.v1 import event_pb2


def meeting_updated(meeting: Meeting) -> event_pb2.Event:
    """The meeting's fields changed."""
    return event_pb2.Event(meeting_updated=event_pb2.MeetingUpdated(meeting=meeting_to_proto(meeting)))


def meeting_ended(meeting_id: str, participant_id: str) -> event_pb2.Event:
    """The meeting is over; the participant is empty when it was ended from outside or by the service."""
    name = participant_name(meeting_id, participant_id)
    return event_pb2.Event(meeting_ended=event_pb2.MeetingEnded(participant=name))


def passcode_guessed(failures: int) -> event_pb2.Event:
    """Somebody seems to be searching for the passcode: so many wrong ones came lately. For hosts alone."""
    return event_pb2.Event(passcode_guessed=event_pb2.PasscodeGuessed(failure_count=failures))


def set_meeting(command: Command, meeting: Meeting, *, known: str) -> None:
    """Has a command bring the meeting's own fields up to date; `known`: only where there are some already."""
    event = command.attach(meeting_updated(meeting))
    command.step("meeting", encode(meeting), str(meeting.revision), known, event)
