"""Changes that commit in the database and must reach the live state too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from control_plane.platform.set_aside import SetAside


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A change of a meeting that must reach the live state too.

    Attributes:
        id: Grows; an entry that is relayed twice has the same.
        kind: `meeting_updated`, or `meeting_ended`.
        meeting_id: The meeting's number.
        participant_id: Who ended it, when it was a participant; else empty.
        traceparent: What caused it.
    """

    id: int
    kind: str
    meeting_id: str
    participant_id: str = ""
    traceparent: str = ""


MEETING_UPDATED = "meeting_updated"
MEETING_ENDED = "meeting_ended"


class OutboxSignal:
    """Says within a process that there is something in the outbox, so that it need not wait for the next look."""

    def __init__(self) -> None:
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """There is something in the outbox."""
        self._awake.set()

    def clear(self) -> None:
        """What was there until now is about to be looked at."""
        self._awake.clear()

    async def wait(self, seconds: float) -> None:
        """Waits until there is something, or for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._awake.wait()
        except TimeoutError:
            return


class OutboxReader(Protocol):
    """The other end of the outbox."""

    async def relay(self, handle: Callable[[OutboxEntry], Awaitable[None]], limit: int = 100) -> int:
        """Hands over the oldest entries, and forgets each that was handled. Another process never has the same ones.

        Args:
            handle: Takes an entry. When it raises a DomainError, this and all later entries stay for another time; when
                it raises anything else, this one alone does, and is tried again ever later.
            limit: How many at most.

        Returns:
            How many were handled.

        Raises:
            DomainError: STORE_UNAVAILABLE; or the one that `handle` raised.
        """
        ...

    async def set_aside(self, limit: int) -> Sequence[SetAside]:
        """Returns the oldest entries that could not be handled.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        ...

    async def retry(self, key: str) -> bool:
        """Has an entry handled again at once, by its id; False: it is not there.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        ...

    async def drop(self, key: str) -> bool:
        """Takes an entry away for good, by its id; False: it is not there.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        ...
