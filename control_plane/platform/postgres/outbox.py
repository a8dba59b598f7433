"""The outbox: entries commit with the change that they tell of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import structlog
from opentelemetry.propagate import inject
from sqlalchemy import ColumnElement, Delete, Row, Update, delete, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.kernel.errors import DomainError
from control_plane.kernel.records import UnreadableRecordError
from control_plane.platform.outbox import OutboxEntry
from control_plane.platform.postgres.database import Database
from control_plane.platform.postgres.tables import OUTBOX
from control_plane.platform.set_aside import RecordKind, SetAside, problem

log = structlog.get_logger(__name__)

_FIRST_RETRY = timedelta(seconds=1)
_KEY_DIGITS = 18
_LONGEST_RETRY = timedelta(minutes=10)


class Outbox:
    """Entries that commit with the change they tell of."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, kind: str, meeting_id: str, *, participant_id: str = "") -> None:
        """Adds an entry to this transaction, with the trace that caused it."""
        carrier: dict[str, str] = {}
        inject(carrier)
        await self._connection.execute(
            insert(OUTBOX).values(
                kind=kind,
                meeting_number=meeting_id,
                participant_id=participant_id,
                traceparent=carrier.get("traceparent", ""),
            )
        )


# Of each meeting only the oldest entry can be taken, by whichever process: so a meeting's entries stay in order. One
# that is set aside holds up none behind it: what is relayed is the meeting as it is by then, and it never ends twice.
_EARLIER = OUTBOX.alias("earlier")
_OLDEST = (
    select(OUTBOX)
    .where(
        ~exists().where(
            (_EARLIER.c.meeting_number == OUTBOX.c.meeting_number)
            & (_EARLIER.c.id < OUTBOX.c.id)
            & _EARLIER.c.retry_time.is_(None)
        ),
        OUTBOX.c.retry_time.is_(None) | (OUTBOX.c.retry_time <= func.now()),
    )
    # Those that never failed first: no number of bad ones keeps them waiting.
    .order_by(OUTBOX.c.retry_time.nulls_first(), OUTBOX.c.id)
    .limit(1)
    .with_for_update(skip_locked=True, of=OUTBOX)
)


class PostgresOutboxReader:
    """The other end of the outbox."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def relay(self, handle: Callable[[OutboxEntry], Awaitable[None]], limit: int = 100) -> int:
        """Hands over the oldest entries, and forgets each that was handled.

        Each is handled in its own transaction, so that a failure keeps only what it must, and no transaction is long.
        """
        for handled in range(limit):
            if not await self._relay_one(handle):
                return handled
        return limit

    async def set_aside(self, limit: int) -> Sequence[SetAside]:
        """Returns the oldest entries that could not be handled."""
        statement = select(OUTBOX).where(OUTBOX.c.retry_time.is_not(None)).order_by(OUTBOX.c.id).limit(limit)
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        return [
            SetAside(RecordKind.OUTBOX, str(row.id), row.problem, row.create_time, row.retry_time, row.attempts)
            for row in rows
        ]

    async def retry(self, key: str) -> bool:
        """Has an entry handled again at once; False: it is not there."""
        statement = update(OUTBOX).where(_is_set_aside(key)).values(retry_time=func.now())
        return await self._changed(statement)

    async def drop(self, key: str) -> bool:
        """Takes an entry away for good; False: it is not there."""
        return await self._changed(delete(OUTBOX).where(_is_set_aside(key)))

    async def _changed(self, statement: Update | Delete) -> bool:
        async with self._database.transaction() as connection:
            return (await connection.execute(statement.returning(OUTBOX.c.id))).first() is not None

    async def _relay_one(self, handle: Callable[[OutboxEntry], Awaitable[None]]) -> bool:
        async with self._database.transaction() as connection:
            row = (await connection.execute(_OLDEST)).first()
            if row is None:
                return False
            try:
                await handle(OutboxEntry(row.id, row.kind, row.meeting_number, row.participant_id, row.traceparent))
            except (DomainError, OSError):
                raise  # a store or a network that is away is no fault of the entry
            except Exception as error:  # noqa: BLE001 -- whatever is wrong with this one, the others follow
                await connection.execute(_set_aside(row, error))
                return True
            await connection.execute(delete(OUTBOX).where(OUTBOX.c.id == row.id))
            return True


def _set_aside(row: Row[Any], error: Exception) -> Update:
    """An entry that can't be handled is tried again ever later, by whichever replica: a newer one may know it."""
    pause = min(_LONGEST_RETRY, _FIRST_RETRY * 2 ** min(row.attempts, 20))
    if row.attempts == 0:
        details = {} if isinstance(error, UnreadableRecordError) else {"exc_info": error}
        log.error("outbox entry set aside", entry=row.id, kind=row.kind, problem=problem(error), **details)
    return (
        update(OUTBOX)
        .where(OUTBOX.c.id == row.id)
        .values(attempts=OUTBOX.c.attempts + 1, retry_time=func.now() + pause, problem=problem(error))
    )


def _is_set_aside(key: str) -> ColumnElement[bool]:
    number = int(key) if key.isdecimal() and len(key) <= _KEY_DIGITS else -1
    return (OUTBOX.c.id == number) & OUTBOX.c.retry_time.is_not(None)
