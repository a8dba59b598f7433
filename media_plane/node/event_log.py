"""The last events of the node, numbered, for the control plane's watchers."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from parley.sfu.v1 import media_pb2

CAPACITY: Final = 10_000
"""Events that are kept, as the contract promises."""


class EventLog:
    """A ring of events. Watchers read it by sequence; none holds up the node, and none can make it grow."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._events: deque[media_pb2.NodeEvent] = deque(maxlen=capacity)
        self._sequence = 0
        self._changed = asyncio.Event()
        self.is_closed = False

    @property
    def sequence(self) -> int:
        """Sequence of the last event; 0: there was none."""
        return self._sequence

    def append(self, event: media_pb2.NodeEvent) -> None:
        """Number an event, keep it and wake the watchers."""
        self._sequence += 1
        event.sequence = self._sequence
        self._events.append(event)
        self._changed.set()
        self._changed = asyncio.Event()

    async def close(self) -> None:
        """Wake the watchers for the last time: the node is going."""
        self.is_closed = True
        self._changed.set()

    def ends_with(self, sequence: int) -> bool:
        """Whether nothing comes after this event any more: those that came while others were being sent still do."""
        return self.is_closed and self._sequence == sequence

    def holds_after(self, sequence: int) -> bool:
        """Whether every event after this one is still here."""
        return self._sequence - len(self._events) <= sequence <= self._sequence

    def after(self, sequence: int, limit: int = 256) -> list[media_pb2.NodeEvent]:
        """Return up to `limit` of the events after one; it must hold them."""
        start = len(self._events) - (self._sequence - sequence)
        stop = min(start + limit, len(self._events))
        return [self._events[index] for index in range(start, stop)]

    async def wait(self, sequence: int, timeout_seconds: float) -> bool:
        """Wait for an event after this one or the log's end; return whether there is one of them."""
        changed = self._changed
        if self._sequence > sequence or self.is_closed:
            return True
        try:
            async with asyncio.timeout(timeout_seconds):
                await changed.wait()
        except TimeoutError:
            return False
        return True
