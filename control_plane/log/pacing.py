"""How a meeting's events come to its watchers: at once where it is small, in batches that all share where it is large.

A thousand people who come within ten seconds are a million messages if everybody is told of each. Events that can wait
a moment are told together, at most four times a second.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

from control_plane.log.cursor import Cursor, order
from control_plane.log.entry import Batch, Entry, SubscriptionEnd

_LONGEST_PAUSE: Final = 0.25
_PAUSE_A_WATCHER: Final = 0.001
"""So that few watchers notice nothing of it, and from 250 on each is told four times a second."""
MOST_TOGETHER: Final = 200
"""Entries of a batch, so that none is too large a message: participants have up to 8 tracks."""
_CAN_WAIT: Final = {"participant_joined", "participant_updated", "participant_left", "reaction_sent"}


class Watcher(Protocol):
    """Somebody who watches a meeting.

    Attributes:
        participant_id: Who.
        batches: Whether they take several entries at a time.
    """

    participant_id: str
    batches: bool

    def put(self, batch: Batch) -> None:
        """Takes what happens now."""
        ...

    def end(self, reason: SubscriptionEnd) -> None:
        """There will be no more."""
        ...


class Timers(Protocol):
    """What is needed of an event loop."""

    def time(self) -> float:
        """Returns seconds of its clock."""
        ...

    def call_at(self, when: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        """Calls back at a moment of its clock."""
        ...


class Room:
    """The watchers of one meeting by participant, and up to where its log was read.

    Attributes:
        position: Up to where the log was read.
        generation: Which log of the meeting it is.
    """

    def __init__(self, meeting_id: str, position: str, generation: str, loop: Timers) -> None:
        self.position = position
        self.generation = generation
        self._meeting_id = meeting_id
        self._loop = loop
        self._watchers: dict[str, list[Watcher]] = defaultdict(list)
        self._waiting: list[Entry] = []
        self._had: dict[Watcher, int] = {}
        self._shared: dict[tuple[int, int], Batch] = {}
        self._told = position
        self._may_tell = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def told(self) -> str:
        """Up to where watchers have been told."""
        return self._told if self._waiting else self.position

    @property
    def size(self) -> int:
        """How many watch."""
        return sum(len(group) for group in self._watchers.values())

    def add(self, watcher: Watcher) -> None:
        """Somebody watches from now on."""
        self._watchers[watcher.participant_id].append(watcher)

    def remove(self, watcher: Watcher) -> bool:
        """Somebody has gone; returns whether nobody is left."""
        group = self._watchers.get(watcher.participant_id, [])
        if watcher in group:
            group.remove(watcher)
        if not group:
            self._watchers.pop(watcher.participant_id, None)
        self._had.pop(watcher, None)
        if not self._watchers:
            self._stop_timer()
        return not self._watchers

    def deliver(self, entries: Sequence[Entry]) -> None:
        """Tells those whom entries are for, now or in a moment, in the order of the log."""
        for entry in entries:
            if order(entry.position) <= order(self.position):
                continue
            if entry.recipient:
                self._tell_one(entry)
            else:
                self._tell_all(entry)
            self.position = entry.position
        self._tell_soon()

    def end(self, reason: SubscriptionEnd) -> None:
        """Tells everybody what waits, and that there is no more."""
        self._flush()
        for watcher in list(self._all()):
            watcher.end(reason)

    def _all(self) -> Iterator[Watcher]:
        return (watcher for group in self._watchers.values() for watcher in group)

    def _tell_one(self, entry: Entry) -> None:
        """What is one participant's alone does not wait, and what waits goes before it."""
        alone = self._batch([entry])
        for watcher in list(self._watchers.get(entry.recipient, [])):
            self._tell_waiting(watcher)
            self._had[watcher] = len(self._waiting)
            watcher.put(alone)

    def _tell_all(self, entry: Entry) -> None:
        self._waiting.append(entry)
        kind = entry.message.WhichOneof("kind") if entry.message else None
        if kind not in _CAN_WAIT or len(self._waiting) >= MOST_TOGETHER:
            self._flush()

    def _tell_soon(self) -> None:
        if not self._waiting or self._timer is not None:
            return
        if self._loop.time() >= self._may_tell:
            self._flush()
        else:
            self._timer = self._loop.call_at(self._may_tell, self._flush)

    def _flush(self) -> None:
        self._stop_timer()
        if not self._waiting:
            return
        for watcher in list(self._all()):
            self._tell_waiting(watcher)
        self._told = self._waiting[-1].position
        self._waiting = []
        self._had.clear()
        self._shared.clear()
        pause = min(_LONGEST_PAUSE, _PAUSE_A_WATCHER * self.size)
        self._may_tell = self._loop.time() + pause

    def _tell_waiting(self, watcher: Watcher) -> None:
        """Tells one watcher what waits and they have not had; whoever is told the same gets the same batches."""
        begin, end = self._had.get(watcher, 0), len(self._waiting)
        if begin == end:
            return
        parts = [(begin, end)] if watcher.batches else [(place, place + 1) for place in range(begin, end)]
        for part in parts:
            if part not in self._shared:
                self._shared[part] = self._batch(self._waiting[slice(*part)])
            watcher.put(self._shared[part])

    def _batch(self, entries: Sequence[Entry]) -> Batch:
        return Batch(tuple(entries), str(Cursor(self._meeting_id, self.generation, entries[-1].position)))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
