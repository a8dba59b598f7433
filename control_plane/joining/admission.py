"""Who may come into a meeting, and as what."""

from __future__ import annotations

from dataclasses import dataclass

from control_plane.accounts.errors import guests_not_allowed
from control_plane.kernel.caller import Caller, CallerKind
from control_plane.kernel.errors import permission_denied
from control_plane.kernel.roles import ParticipantRole
from control_plane.meetings.directory import MeetingDirectory
from control_plane.meetings.errors import meeting_ended, meeting_not_started
from control_plane.meetings.model import Meeting, MeetingState, MeetingType


@dataclass(frozen=True, slots=True)
class Admitted:
    """Somebody who may come in.

    Attributes:
        role: What they may do.
        starts: Whether their coming begins the meeting.
    """

    role: ParticipantRole
    starts: bool


async def admit(caller: Caller, meeting: Meeting, passcode: str, directory: MeetingDirectory) -> Admitted:
    """Returns as what somebody may come in.

    Raises:
        DomainError: PERMISSION_DENIED, GUESTS_NOT_ALLOWED, PASSCODE_WRONG, PASSCODE_ATTEMPTS_EXCEEDED, MEETING_ENDED,
            MEETING_NOT_STARTED.
    """
    is_host = bool(caller.user_id) and caller.user_id == meeting.host_id
    if caller.meeting_id and caller.meeting_id != meeting.number:
        raise permission_denied("This token is good for another meeting.")
    if not is_host:
        await _check_visitor(caller, meeting, passcode, directory)
    if meeting.state is MeetingState.ENDED:
        raise meeting_ended()
    if not is_host and meeting.state is MeetingState.SCHEDULED and not meeting.settings.join_before_host:
        raise meeting_not_started()
    return Admitted(_role(meeting, is_host=is_host), starts=is_host and meeting.state is MeetingState.SCHEDULED)


async def _check_visitor(caller: Caller, meeting: Meeting, passcode: str, directory: MeetingDirectory) -> None:
    # Passcode first: to somebody without it even whether guests are welcome is nobody's business.
    if not caller.meeting_id:
        await directory.check_passcode(meeting, passcode, caller.address)
    if caller.kind is not CallerKind.ACCOUNT and not meeting.settings.guests_allowed:
        raise guests_not_allowed()


def _role(meeting: Meeting, *, is_host: bool) -> ParticipantRole:
    if is_host:
        return ParticipantRole.HOST
    # In a type of meeting that only a newer version knows, nobody is given more than the least.
    listens = meeting.type in {MeetingType.WEBINAR, MeetingType.UNKNOWN}
    return ParticipantRole.ATTENDEE if listens else ParticipantRole.PARTICIPANT
