"""From the live state to the database: who was in which meeting, and when. An outage delays it, no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from control_plane.history.live import StayOutbox
from control_plane.history.model import Stay, StayRepository
from control_plane.kernel.errors import DomainError
from control_plane.platform.quarantine import Quarantine
from control_plane.platform.set_aside import RecordKind

_BATCH: Final = 200
_BATCHES: Final = 10


class StayKeeper:
    """Moves stays from the live state, where they were noted in the same step as they happened, to the database."""

    def __init__(self, outbox: StayOutbox, repository: StayRepository, quarantine: Quarantine) -> None:
        self._outbox = outbox
        self._repository = repository
        self._quarantine = quarantine
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

    async def drop(self, meeting_id: str, position: str) -> None:
        """Takes a stay away for good that can't be written."""
        await self._outbox.remove(meeting_id, [position])

    async def flush(self, meeting_id: str) -> bool:
        """Writes what is not in the database yet. Two replicas may do it at once: writing a stay twice is harmless.

        What can't be written stays where it is, is set aside, and holds up nothing behind it.

        Returns:
            Whether nothing is left to be written.

        Raises:
            DomainError: STORE_UNAVAILABLE; what was not written is still there.
        """
        after = ""
        for _ in range(_BATCHES):
            entries = await self._outbox.read(meeting_id, after, _BATCH)
            stays = [(position, stay) for position, stay in entries if stay is not None]
            written = await self._write(stays)
            if written:
                await self._outbox.remove(meeting_id, written)
            if len(entries) < _BATCH:
                return True
            after = entries[-1][0]
        return False

    async def _write(self, entries: Sequence[tuple[str, Stay]]) -> list[str]:
        """Returns the positions of those that are in the database now."""
        if not entries:
            return []
        try:
            await self._repository.record([stay for _, stay in entries])
        except DomainError:
            raise
        except Exception:  # noqa: BLE001 -- one of them is bad: which, is found one by one
            return [position for position, stay in entries if await self._write_one(position, stay)]
        return [position for position, _ in entries]

    async def _write_one(self, position: str, stay: Stay) -> bool:
        try:
            await self._repository.record([stay])
        except DomainError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever it is, it must not hold up the others
            self._quarantine.note(RecordKind.STAY, f"{stay.meeting_id}/{position}", error)
            return False
        return True
