"""Watching meetings: one blocking read a process for all their logs, fanned out to bounded queues.

A thousand watchers cost one connection to Redis. Nothing is lost or doubled between what a watcher reads of the past
and what the loop brings: a watcher is registered before it reads its past, and passes over what it has had already.

When Redis is away, watchers stay: the next turn goes on from the same positions. When it comes back without
a position that was read before (it lost data), the watchers of that meeting are told so and take a new snapshot.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, Final

from redis.exceptions import RedisError, ResponseError

from control_plane.kernel.errors import store_unavailable
from control_plane.kernel.records import UnreadableRecordError
from control_plane.log.commands import prefix
from control_plane.log.cursor import BEGINNING, Cursor, order, parse
from control_plane.log.entry import Batch, Entry, Fields, FormerEntryError, SubscriptionEnd, read_entry, recipient_of
from control_plane.log.errors import cursor_invalid
from control_plane.log.pacing import MOST_TOGETHER, Room
from control_plane.platform.quarantine import Quarantine
from control_plane.platform.redis.client import (
    BLOCK_MS,
    RedisClient,
    answer,
    as_store_failure,
    store_failures,
)
from control_plane.platform.set_aside import RecordKind

_Raw = tuple[bytes, Fields]
"""An entry's position and fields as Redis has them."""
_BATCH: Final = 200
_QUEUE: Final = 256
_PAST: Final = 2_000


class EventLog:
    """The logs that are watched in this process.

    Args:
        client: For commands that answer at once; its answers are bytes.
        blocking: For the loop alone; its answers are bytes too, and its command timeout is longer than `BLOCK_MS`.
        quarantine: Takes note of events that can't be read; their watchers go on without them.
        queue: Batches that a watcher may be behind before it is told to take a snapshot.
    """

    def __init__(
        self, client: RedisClient, blocking: RedisClient, quarantine: Quarantine, *, queue: int = _QUEUE
    ) -> None:
        self._client = client
        self._blocking = blocking
        self._quarantine = quarantine
        self._queue = queue
        self._rooms: dict[str, Room] = {}
        self._wake = f"parley:broker:{uuid.uuid4()}"
        self._wake_position = BEGINNING
        self._closing = False
        self._broken = False

    async def subscribe(
        self, meeting_id: str, participant_id: str, cursor: str, *, batches: bool = False
    ) -> Subscription | None:
        """Returns what happens after a cursor, what is private to others left out."""
        place = parse(cursor, meeting_id)
        last = await self._reach(place)
        if last is None:
            return None
        subscription = Subscription(self, participant_id, place, self._queue, batches=batches)
        new = self._register(subscription, last)
        try:
            past = await self._past(meeting_id, place.position)
            if new:
                await self._wake_up()
        except BaseException:
            subscription.close()
            raise
        if past is None:
            subscription.close()
            return None
        subscription.remember(past)
        if self._closing:
            subscription.end(SubscriptionEnd.SHUTTING_DOWN)
        return subscription

    async def read(self) -> None:
        """Waits for what happens in all watched meetings, a few seconds at most, and hands it to their watchers.

        Raises:
            DomainError: STORE_UNAVAILABLE; the next turn goes on from the same positions.
        """
        broken, self._broken = self._broken, True
        try:
            if broken:
                await self._check_positions()
            await self._read()
        except ResponseError as error:
            if as_store_failure(error) is not None:
                raise store_unavailable("live state") from error
            # One of the logs is none that can be read. It must not keep all others from being read.
            await self._check_positions()
        except (RedisError, OSError, TimeoutError) as error:
            raise store_unavailable("live state") from error
        self._broken = False

    def shut_down(self) -> None:
        """Tells all watchers that this process ends."""
        self._closing = True
        for room in list(self._rooms.values()):
            room.end(SubscriptionEnd.SHUTTING_DOWN)

    @property
    def watchers(self) -> int:
        """How many watch."""
        return sum(room.size for room in self._rooms.values())

    def told(self, meeting_id: str) -> str:
        """Returns up to where the watchers of a log have been told."""
        room = self._rooms.get(meeting_id)
        return room.told if room else BEGINNING

    def unregister(self, subscription: Subscription) -> None:
        """A watcher has gone."""
        room = self._rooms.get(subscription.meeting_id)
        if room is not None and room.remove(subscription):
            del self._rooms[subscription.meeting_id]

    def _register(self, subscription: Subscription, last: str) -> bool:
        room = self._rooms.get(subscription.meeting_id)
        new = room is None
        if room is None:
            loop = asyncio.get_running_loop()
            room = Room(subscription.meeting_id, last, subscription.generation, loop)
            self._rooms[subscription.meeting_id] = room
        room.add(subscription)
        return new

    async def _reach(self, place: Cursor) -> str | None:
        """Returns the log's last position if everything after the cursor is still there."""
        with store_failures():
            pipe = self._client.pipeline(transaction=True)
            pipe.hmget(f"{prefix(place.meeting_id)}meta", "generation", "last")
            pipe.xrange(f"{prefix(place.meeting_id)}log", place.position, place.position)
            (generation, last), entry = await pipe.execute()
        if _text(generation) != place.generation:
            return None
        end = _text(last) or BEGINNING
        if order(place.position) > order(end):
            raise cursor_invalid()
        return end if entry or place.position == end else None

    async def _past(self, meeting_id: str, position: str) -> list[Entry] | None:
        """Returns the entries after a position; None when only a snapshot helps, or is less than so many entries."""
        with store_failures():
            raw = await answer(self._client.xrange(f"{prefix(meeting_id)}log", f"({position}", "+", count=_PAST + 1))
        return None if len(raw) > _PAST else self._entries(meeting_id, raw)

    async def _wake_up(self) -> None:
        """Makes the blocked read return, so that it takes up a new log."""
        with store_failures():
            pipe = self._client.pipeline(transaction=True)
            pipe.xadd(self._wake, {"w": "1"}, maxlen=1, approximate=False)
            pipe.expire(self._wake, 3600)
            await pipe.execute()

    async def _read(self) -> None:
        streams: dict[Any, Any] = {
            f"{prefix(meeting_id)}log": room.position for meeting_id, room in self._rooms.items()
        }
        names = dict(zip(streams, self._rooms, strict=True))
        streams[self._wake] = self._wake_position
        reply = await answer(self._blocking.xread(streams, count=_BATCH, block=BLOCK_MS))
        for stream, raw in _streams(reply):
            if stream == self._wake:
                self._wake_position = raw[-1][0].decode()
                continue
            self._deliver(names[stream], raw)

    def _deliver(self, meeting_id: str, raw: Sequence[_Raw]) -> None:
        room = self._rooms.get(meeting_id)
        if room is None:
            return
        entries = self._entries(meeting_id, raw)
        if entries is None:
            room.end(SubscriptionEnd.LOST)
            self._rooms.pop(meeting_id)
        else:
            room.deliver(entries)

    def _entries(self, meeting_id: str, raw: Iterable[_Raw]) -> list[Entry] | None:
        """Returns entries; None when there is one of a former version among them."""
        try:
            return [self._entry(meeting_id, position.decode(), fields) for position, fields in raw]
        except FormerEntryError:
            return None

    def _entry(self, meeting_id: str, position: str, fields: Fields) -> Entry:
        try:
            return read_entry(position, fields)
        except UnreadableRecordError as error:
            self._quarantine.note(RecordKind.EVENT, f"{meeting_id}/{position}", error)
            return Entry(position, recipient_of(fields))

    async def _check_positions(self) -> None:
        """After an outage: are the logs still those that were read?"""
        for meeting_id, room in list(self._rooms.items()):
            pipe = self._client.pipeline(transaction=True)
            pipe.hmget(f"{prefix(meeting_id)}meta", "generation", "last")
            pipe.xrange(f"{prefix(meeting_id)}log", room.position, room.position)
            (generation, last), entry = await self._unless_unreadable(meeting_id, pipe.execute())
            if _text(generation) != room.generation or not (entry or (_text(last) or BEGINNING) == room.position):
                room.end(SubscriptionEnd.LOST)
                self._rooms.pop(meeting_id, None)

    async def _unless_unreadable(self, meeting_id: str, reading: Awaitable[list[Any]]) -> list[Any]:
        """Returns what was read; as of a log that was lost when it is none that can be read."""
        try:
            return await reading
        except ResponseError as error:
            if as_store_failure(error) is not None:
                raise
            self._quarantine.note(RecordKind.MEETING, meeting_id, error)
            return [(None, None), []]


class Subscription:
    """What a watcher still has to get: a bounded queue that the loop fills."""

    def __init__(self, log: EventLog, participant_id: str, place: Cursor, most: int, *, batches: bool) -> None:
        self.meeting_id = place.meeting_id
        self.participant_id = participant_id
        self.generation = place.generation
        self.batches = batches
        self._log = log
        self._last = place.position
        self._most = most
        self._past: deque[Batch] = deque()
        self._queue: deque[Batch] = deque()
        self._end: SubscriptionEnd | None = None
        self._ready = asyncio.Event()

    async def next(self, timeout: float) -> Batch | SubscriptionEnd | None:  # noqa: ASYNC109 -- a checkpoint is due then
        """Returns the next entries, why there are no more, or None when none came in time (seconds)."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    batch = self._take()
                    if batch is not None:
                        return batch
                    if self._end is not None:
                        return self._end
                    self._ready.clear()
                    await self._ready.wait()
        except TimeoutError:
            return None

    @property
    def cursor(self) -> str:
        """Where the log goes on after the last entry that was returned or passed over."""
        if not self._past and not self._queue and self._end is None:
            self._last = max(self._last, self._log.told(self.meeting_id), key=order)
        return str(Cursor(self.meeting_id, self.generation, self._last))

    def close(self) -> None:
        """Ends it."""
        self._log.unregister(self)

    def remember(self, past: Iterable[Entry]) -> None:
        """Takes what happened before the loop brings entries."""
        visible = [entry for entry in past if entry.recipient in {"", self.participant_id}]
        size = MOST_TOGETHER if self.batches else 1
        for begin in range(0, len(visible), size):
            self._past.append(self._batch(visible[begin : begin + size]))

    def put(self, batch: Batch) -> None:
        """Takes what happens now."""
        if self._end is not None:
            return
        if len(self._queue) >= self._most:
            self.end(SubscriptionEnd.TOO_SLOW)
            return
        self._queue.append(batch)
        self._ready.set()

    def end(self, reason: SubscriptionEnd) -> None:
        """There will be no more."""
        self._end = reason
        if reason is not SubscriptionEnd.SHUTTING_DOWN:
            self._past.clear()
            self._queue.clear()
        self._ready.set()

    def _take(self) -> Batch | None:
        while self._past or self._queue:
            batch = self._past.popleft() if self._past else self._queue.popleft()
            last = order(self._last)
            if order(batch.entries[0].position) <= last:
                # What happened while the past was read comes twice.
                rest = [entry for entry in batch.entries if order(entry.position) > last]
                if not rest:
                    continue
                batch = self._batch(rest)
            self._last = batch.entries[-1].position
            return batch
        return None

    def _batch(self, entries: Sequence[Entry]) -> Batch:
        return Batch(tuple(entries), str(Cursor(self.meeting_id, self.generation, entries[-1].position)))


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode()


def _streams(reply: object) -> Iterable[tuple[str, list[_Raw]]]:
    """Returns streams with their entries, from either form of redis-py's answers (RESP2: pairs; RESP3: a mapping)."""
    if isinstance(reply, dict):
        return [(name.decode(), [one for part in parts for one in part]) for name, parts in reply.items()]
    return [(name.decode(), entries) for name, entries in reply or ()]  # type: ignore[attr-defined]
