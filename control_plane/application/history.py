"""From the live state to the database: who was in which meeting, and when. An outage delays it, no more."""

from __future__ import annotations

from typing import Final

from control_plane.application.live_ports import StayOutbox, StayRepository

_BATCH: Final = 200


class StayKeeper:
    """Moves stays from the live state, where they were noted in the same step as they happened, to the database."""

    def __init__(self, outbox: StayOutbox, repository: StayRepository) -> None:
        self._outbox = outbox
        self._repository = repository
        self._under_way: set[str] = set()
        self._again: set[str] = set()

    async def flush_soon(self, meeting_id: str) -> None:
        """Writes what is not in the database yet; a burst of joins to one meeting makes one flush, not hundreds.

        Raises:
            DomainError: STORE_UNAVAILABLE; what was not written is still there.
        """
        if meeting_id in self._under_way:
            self._again.add(meeting_id)
            return
        self._under_way.add(meeting_id)
        try:
            done = False
            while not done:
                self._again.discard(meeting_id)
                done = await self.flush(meeting_id) and meeting_id not in self._again
        finally:
            self._under_way.discard(meeting_id)
            self._again.discard(meeting_id)

    async def flush(self, meeting_id: str) -> bool:
        """Writes what is not in the database yet. Two replicas may do it at once: writing a stay twice is harmless.

        Returns:
            Whether nothing is left to be written.

        Raises:
            DomainError: STORE_UNAVAILABLE; what was not written is still there.
        """
        entries = await self._outbox.read(meeting_id, _BATCH)
        if entries:
            await self._repository.record([stay for _, stay in entries])
            await self._outbox.remove(meeting_id, [position for position, _ in entries])
        return len(entries) < _BATCH
