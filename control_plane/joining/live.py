"""Places in a meeting: kept for those who are about to come in, and taken."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NoReturn

from control_plane.joining.errors import joined_too_often, meeting_full
from control_plane.joining.events import participant_joined
from control_plane.joining.model import Joining
from control_plane.kernel.records import encode
from control_plane.kernel.roles import ParticipantRole
from control_plane.log.commands import Command
from control_plane.log.errors import StaleJoinError
from control_plane.log.slots import slot_values
from control_plane.log.state import LiveState
from control_plane.log.view import LiveView
from control_plane.meetings.errors import meeting_ended
from control_plane.meetings.events import set_meeting
from control_plane.platform.redis.client import milliseconds
from control_plane.rooms.events import move_media

_RESERVATION: Final = timedelta(seconds=15)
_DEVICES: Final = 5
"""So often one user or guest is in a meeting at most, those counted that are about to be missed."""


class Places:
    """Commands of coming in."""

    def __init__(self, state: LiveState) -> None:
        self._state = state

    async def reserve(
        self,
        meeting_id: str,
        participant_id: str,
        session_id: str,
        limit: int,
        *,
        subject: str = "",
        is_host: bool = False,
    ) -> None:
        """Keeps a place for somebody about to join, for a short time."""
        now = self._state.clock.now()
        command = Command().check("open")
        _check_place(command, participant_id, limit, now, subject, is_host=is_host)
        command.step("reserve", participant_id, str(milliseconds(now + _RESERVATION)))
        command.step("session", session_id, participant_id)
        outcome = await self._state.commit_and_look(meeting_id, command)
        if outcome.status != "ok":
            _refuse(outcome.status, meeting_id, limit)

    async def join(self, joining: Joining) -> LiveView:
        """Puts somebody in the place that was kept, and tells everyone; returns the meeting with them in it."""
        person, meeting = joining.participant, joining.meeting
        limit, now = meeting.settings.max_participants, self._state.clock.now()
        command = (
            Command().check("open").check("epoch", str(joining.epoch)).check("session", person.session_id, person.id)
        )
        is_host = person.role is ParticipantRole.HOST
        _check_place(command, person.id, limit, now, person.subject, is_host=is_host)
        set_meeting(command, meeting, known="")
        move_media(command, joining.epoch)
        command.step("put", person.id, encode(person))
        self._state.signs.signalled(command, person.id, now)
        command.step("slots", person.session_id, "fill", slot_values(joining.slots))
        command.tell(participant_joined(meeting.number, person)).history(person, None, "")
        outcome, view = await self._state.commit_and_view(
            meeting.number, command, person.id, operation=joining.operation, result=joining.fingerprint
        )
        if outcome.status not in {"ok", "done"}:
            _refuse(outcome.status, meeting.number, limit)
        return view


def _check_place(
    command: Command, participant_id: str, limit: int, now: datetime, subject: str, *, is_host: bool
) -> None:
    """A place is free, for somebody who is not in the meeting too often; from then on it is theirs."""
    host = "host" if is_host else ""
    command.check("capacity", participant_id, limit, str(milliseconds(now)), host)
    # Hosts may fill their own meeting.
    if subject and not is_host:
        command.check("devices", participant_id, subject, _DEVICES)
    command.step("person", participant_id, f"{host} {subject}")


def _refuse(check: str, meeting_id: str, limit: int) -> NoReturn:
    if check == "open":
        raise meeting_ended()
    if check == "capacity":
        raise meeting_full(meeting_id, limit)
    if check == "devices":
        raise joined_too_often(_DEVICES)
    raise StaleJoinError(outdated=check == "epoch")
