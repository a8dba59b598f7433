"""Records that could not be read or applied: set aside so that the others go on, and kept in sight until they can be.

A record stays where it is: a replica of a newer version may be able to read it. What is kept here says where it is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import structlog

from control_plane.kernel.clock import Clock
from control_plane.kernel.records import UnreadableRecordError
from control_plane.platform.observer import Observer
from control_plane.platform.redis.quarantine import QuarantineStore
from control_plane.platform.set_aside import RecordKind, SetAside, problem, record_id

_log = structlog.get_logger(__name__)
_PENDING: Final = 1_000
_KNOWN: Final = 10_000


class Quarantine:
    """Takes note of bad records without making their reader wait; `flush` carries the notes to the store."""

    def __init__(self, store: QuarantineStore, clock: Clock, observer: Observer) -> None:
        self._store = store
        self._clock = clock
        self._observer = observer
        self._pending: dict[str, SetAside] = {}
        self._resolved: set[str] = set()
        self._known: OrderedDict[str, None] = OrderedDict()

    def note(self, kind: RecordKind, key: str, error: BaseException) -> None:
        """Sets a record aside: counted each time, logged once."""
        now = self._clock.now()
        record = SetAside(kind, key, problem(error), now, now)
        self._observer.set_aside(kind.value)
        if record.id not in self._known:
            details = {} if isinstance(error, UnreadableRecordError) else {"exc_info": error}
            _log.error("record set aside", kind=kind.value, record=key, problem=record.problem, **details)
        self._known[record.id] = None
        self._known.move_to_end(record.id)
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        before = self._pending.get(record.id)
        if before is not None:
            record = SetAside(kind, key, record.problem, before.first_time, now, before.count + 1)
        if before is not None or len(self._pending) < _PENDING:
            self._pending[record.id] = record
            self._resolved.discard(record.id)

    def resolved(self, kind: RecordKind, key: str) -> None:
        """A record that was set aside can be read or applied after all."""
        name = record_id(kind, key)
        if name in self._known:
            del self._known[name]
            self._pending.pop(name, None)
            self._resolved.add(name)

    async def flush(self) -> None:
        """Carries what was noted to the store.

        Raises:
            DomainError: STORE_UNAVAILABLE; it is kept for the next time.
        """
        pending, resolved = list(self._pending.values()), list(self._resolved)
        if pending:
            await self._store.add(pending)
            # What was met again meanwhile stays for the next time.
            self._pending = {name: one for name, one in self._pending.items() if one not in pending}
        if resolved:
            await self._store.remove(resolved)
            self._resolved.difference_update(resolved)

    async def records(self) -> Sequence[SetAside]:
        """Returns what is set aside in the live state.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        await self.flush()
        return await self._store.list()

    async def forget(self, kind: RecordKind, key: str) -> None:
        """Forgets a record, which is tried again or was dropped.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        name = record_id(kind, key)
        self._known.pop(name, None)
        self._pending.pop(name, None)
        await self._store.remove([name])
