"""From the database to the live state: what a transaction changed of a meeting reaches those who are in it, once."""

from __future__ import annotations

from control_plane.kernel.records import UnreadableRecordError
from control_plane.meetings.directory import MeetingDirectory
from control_plane.platform.outbox import MEETING_ENDED, MEETING_UPDATED, OutboxEntry, OutboxReader, OutboxSignal
from control_plane.presence.live import LivePresence
from control_plane.rooms.service import Rooms

_UNKNOWN_KIND = "a kind that this version does not know"


class OutboxRelay:
    """Relays entries that committed with their change. Each carries its id, so that a second time changes nothing."""

    def __init__(
        self, outbox: OutboxReader, directory: MeetingDirectory, live: LivePresence, rooms: Rooms, awake: OutboxSignal
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
        await self._awake.wait(seconds)

    async def run_once(self) -> int:
        """Relays what there is; returns how many entries that were.

        Raises:
            DomainError: STORE_UNAVAILABLE; what was not relayed stays for the next time.
        """
        return await self._outbox.relay(self._relay)

    async def _relay(self, entry: OutboxEntry) -> None:
        operation, trace = f"outbox:{entry.id}", entry.traceparent
        if entry.kind == MEETING_ENDED:
            await self._live.end(entry.meeting_id, entry.participant_id, operation=operation, traceparent=trace)
            await self._rooms.release(entry.meeting_id)
        elif entry.kind == MEETING_UPDATED:
            meeting = await self._directory.find(entry.meeting_id)
            if meeting is not None:
                await self._live.set_meeting(meeting, operation=operation, traceparent=trace)
        else:
            raise UnreadableRecordError(_UNKNOWN_KIND)
