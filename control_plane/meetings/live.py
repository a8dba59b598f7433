"""What hosts who are in their meeting are told."""

from __future__ import annotations

from control_plane.kernel.roles import ParticipantRole
from control_plane.log.commands import Command
from control_plane.log.state import LiveState
from control_plane.meetings.events import passcode_guessed


class HostNotices:
    """Notices to hosts."""

    def __init__(self, state: LiveState) -> None:
        self._state = state

    async def passcode_guessed(self, meeting_id: str, failures: int) -> None:
        """Somebody seems to be searching for the passcode: hosts who are in the meeting are told."""
        view = await self._state.view(meeting_id)
        hosts = [one.id for one in view.participants if one.role is ParticipantRole.HOST]
        if hosts:
            command = Command().check("live")
            for host in hosts:
                command.tell(passcode_guessed(failures), host)
            await self._state.commit(meeting_id, command)
