"""Records that could not be read or applied: set aside so that the others go on, and kept in sight until they can be.

A record stays where it is: a replica of a newer version may be able to read it. What is kept here says where it is.
"""

from __future__ import annotations

import enum
import traceback
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

import structlog

from control_plane.domain.clock import Clock
from control_plane.domain.errors import DomainError, ErrorKind
from control_plane.domain.records import UnreadableRecordError

_log = structlog.get_logger(__name__)
_PENDING: Final = 1_000
_KNOWN: Final = 10_000
KEEP: Final = timedelta(days=7)
"""A record that nobody has met for so long is forgotten here."""


class RecordKind(enum.Enum):
    """What a record is."""

    OUTBOX = "outbox"
    """An entry of the outbox; key: its id."""
    EVENT = "event"
    """An event of a meeting's log; key: meeting and position."""
    PARTICIPANT = "participant"
    """Somebody in a meeting; key: meeting and participant."""
    MEETING = "meeting"
    """A meeting in the live state; key: its number."""
    STAY = "stay"
    """A stay on its way to the database; key: meeting and position."""
    NODE_EVENT = "node_event"
    """Something that a media node said; key: the node."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """A record that was set aside.

    Attributes:
        kind: What it is.
        key: Which one; parts with `/` between them.
        problem: What is wrong with it; nothing of its content.
        first_time: When it was first met.
        last_time: When it was last met.
        count: How often.
    """

    kind: RecordKind
    key: str
    problem: str
    first_time: datetime
    last_time: datetime
    count: int = 1

    @property
    def id(self) -> str:
        """Names it among all."""
        return record_id(self.kind, self.key)


def record_id(kind: RecordKind, key: str) -> str:
    """Returns what names a record among all: letters, digits, `.`, `_`, `-` and `~`."""
    return f"{kind.value}~{key.replace('/', '~')}"


def parse_id(text: str) -> tuple[RecordKind, str]:
    """Returns kind and key of a record's id.

    Raises:
        DomainError: RECORD_NOT_FOUND.
    """
    kind, _, key = text.partition("~")
    try:
        return RecordKind(kind), key.replace("~", "/")
    except ValueError:
        raise record_not_found() from None


def record_not_found() -> DomainError:
    """There is no such record in quarantine."""
    return DomainError(ErrorKind.NOT_FOUND, "RECORD_NOT_FOUND", "No such record is in quarantine.")


class QuarantineStore(Protocol):
    """Where it is kept what was set aside, for all replicas."""

    async def add(self, records: Sequence[SetAside]) -> None:
        """Adds records, or the counts of those that are there; past its bound the oldest are forgotten."""
        ...

    async def remove(self, ids: Sequence[str]) -> None:
        """Forgets records."""
        ...

    async def list(self) -> Sequence[SetAside]:
        """Returns all records, by id."""
        ...


class QuarantineObserver(Protocol):
    """Measures what is set aside."""

    def set_aside(self, kind: str) -> None:
        """A record was met that can't be read or applied."""
        ...


class Quarantine:
    """Takes note of bad records without making their reader wait; `flush` carries the notes to the store."""

    def __init__(self, store: QuarantineStore, clock: Clock, observer: QuarantineObserver) -> None:
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


def problem(error: BaseException) -> str:
    """Returns what is wrong, for operators: no content of the record, which may be personal."""
    if isinstance(error, UnreadableRecordError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"
