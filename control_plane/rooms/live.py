"""Where a meeting's room is, in its live state."""

from __future__ import annotations

from control_plane.log.commands import Command
from control_plane.log.state import LiveState
from control_plane.rooms.events import move_media


class LiveRooms:
    """Commands about the room."""

    def __init__(self, state: LiveState) -> None:
        self._state = state

    async def media_moved(self, meeting_id: str, epoch: int) -> None:
        """The room is served under this epoch now: everyone is told, once."""
        command = Command().check("live")
        move_media(command, epoch)
        await self._state.commit(meeting_id, command)

    async def vacate(self, meeting_id: str, epoch: int) -> bool:
        """Refuses joins to the placement of an empty meeting's room, which is to be released."""
        command = Command().check("empty").step("vacate", str(epoch))
        return (await self._state.commit(meeting_id, command)).status == "ok"
