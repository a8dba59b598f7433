"""Who is still there, and the end of a meeting, in the live state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from control_plane.kernel.records import with_others_of
from control_plane.log.commands import KEEP_ENDED_MS, Command, prefix
from control_plane.log.participant import LeaveReason
from control_plane.log.state import ATTEMPTS, LiveState, back_off, contended
from control_plane.meetings import events
from control_plane.meetings.model import Meeting
from control_plane.platform.redis.client import (
    from_milliseconds,
    milliseconds,
    store_failures,
)

_ENDING: Final = timedelta(seconds=10)
"""So long an empty meeting lets nobody in while it is being ended."""
_NODES_SEEN: Final = 64
"""Processes of media nodes of which a meeting remembers what it has seen."""


class LivePresence:
    """Commands of staying, and of what ends."""

    def __init__(self, state: LiveState) -> None:
        self._state = state

    async def silent(self, meeting_id: str, now: datetime) -> tuple[Sequence[str], datetime | None]:
        """Returns who has given no sign of life in time, and when the next one's time ends."""
        name = f"{prefix(meeting_id)}presence"
        with store_failures():
            pipe = self._state.client.pipeline(transaction=True)
            pipe.zrangebyscore(name, "-inf", milliseconds(now))
            pipe.zrangebyscore(name, f"({milliseconds(now)}", "+inf", start=0, num=1, withscores=True)
            silent, following = await pipe.execute()
        return silent, from_milliseconds(following[0][1]) if following else None

    async def tidy(self, meeting_id: str) -> None:
        """Forgets sessions that were begun for somebody who never came in."""
        await self._state.commit(meeting_id, Command().step("tidy", _NODES_SEEN), traceparent="")

    async def begin_end(self, meeting_id: str) -> bool:
        """Lets nobody into an empty meeting for a short time, in which it is to be ended."""
        until = milliseconds(self._state.clock.now() + _ENDING)
        command = Command().check("live").check("empty").step("ending", str(until))
        return (await self._state.commit(meeting_id, command)).status == "ok"

    async def end(
        self, meeting_id: str, participant_id: str, *, operation: str, traceparent: str | None = None
    ) -> None:
        """The meeting is over: everyone is told, once, and is out."""
        command = (
            Command()
            .check("live")
            .tell(events.meeting_ended(meeting_id, participant_id))
            .step("clear", KEEP_ENDED_MS, LeaveReason.MEETING_ENDED.value)
        )
        await self._state.look_soon(meeting_id, now=True)
        await self._state.commit(meeting_id, command, operation=operation, traceparent=traceparent)

    async def set_meeting(self, meeting: Meeting, *, operation: str, traceparent: str | None = None) -> None:
        """The meeting's own fields changed: those who are in it are told."""
        for attempt in range(ATTEMPTS):
            document = await self._state.meeting_document(meeting.number)
            before = self._state.read_meeting(meeting.number, document) if document else None
            # A newer version may have written more of it here than this one finds in the database.
            after = meeting if before is None else with_others_of(meeting, before)
            command = Command().check("live").check("meeting", document)
            events.set_meeting(command, after, known="known")
            outcome = await self._state.commit(meeting.number, command, operation=operation, traceparent=traceparent)
            if outcome.status != "meeting":
                return
            await back_off(attempt)
        raise contended(meeting.number)
