"""From the database to the live state: what a transaction changed of a meeting reaches those who are in it, once."""

from __future__ import annotations

import asyncio

from control_plane.application import ports
from control_plane.application.live_ports import LiveMeetings, MeetingDirectory
from control_plane.application.ports import OutboxEntry, OutboxReader
from control_plane.application.rooms import Rooms
from control_plane.domain.records import UnreadableRecordError

_UNKNOWN_KIND = "a kind that this version does not know"


class OutboxRelay:
    """Relays entries that committed with their change. Each carries its id, so that a second time changes nothing."""

    def __init__(
        self, outbox: OutboxReader, directory: MeetingDirectory, live: LiveMeetings, rooms: Rooms, awake: asyncio.Event
    ) -> None:
        self._outbox = outbox
        self._directory = directory
        self._live = live
        self._rooms = rooms
        self._awake = awake

    async def run(self, seconds: float) -> None:
        """Relays what there is, and waits until there is more, or for so long.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        self._awake.clear()
        await self.run_once()
        try:
            async with asyncio.timeout(seconds):
                await self._awake.wait()
        except TimeoutError:
            return

    async def run_once(self) -> int:
        """Relays what there is; returns how many entries that were.

        Raises:
            DomainError: STORE_UNAVAILABLE; what was not relayed stays for the next time.
        """
        return await self._outbox.relay(self._relay)

    async def _relay(self, entry: OutboxEntry) -> None:
        operation, trace = f"outbox:{entry.id}", entry.traceparent
        match entry.kind:
            case ports.MEETING_ENDED:
                await self._live.end(entry.meeting_id, entry.participant_id, operation=operation, traceparent=trace)
                await self._rooms.release(entry.meeting_id)
            case ports.MEETING_UPDATED:
                meeting = await self._directory.find(entry.meeting_id)
                if meeting is not None:
                    await self._live.set_meeting(meeting, operation=operation, traceparent=trace)
            case _:
                raise UnreadableRecordError(_UNKNOWN_KIND)
