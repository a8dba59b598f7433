"""What is over is forgotten, in batches that each end long before the server cancels a statement."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Delete, Table, Update, delete, exists, func, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.domain.user import SESSION_LIFETIME, UserKind
from control_plane.storage.database import Database
from control_plane.storage.tables import (
    MEETING_PARTICIPANTS,
    MEETINGS,
    OUTBOX,
    REFRESH_TOKENS,
    REQUEST_IDS,
    USER_SESSIONS,
    USERS,
)

SESSION_MEMORY = timedelta(days=30)
"""Sessions that are over are kept for so long, so that a stolen refresh token is still known as one."""
GUEST_MEMORY = timedelta(days=30)
"""Meetings of guests are kept for so long after their last change, if their host can't come back."""
HISTORY_MEMORY = timedelta(days=30)
"""Who was in a meeting is known for so long after it was deleted."""
OUTBOX_MEMORY = timedelta(days=30)
"""An entry that could not be relayed is tried for so long."""
_BATCH = 1_000
_SECONDS = 60.0
_MEETINGS_AT_ONCE = 50

_Statement = Callable[[datetime, int], Delete | Update]


class PostgresCleaner:
    """Forgets what is over."""

    def __init__(self, database: Database, *, batch: int = _BATCH) -> None:
        self._database = database
        self._batch = batch
        self._until = 0.0

    async def clean(self, now: datetime) -> Mapping[str, int]:
        """Forgets what is over; what is too much for once is left for the next time.

        Returns:
            How many rows of what were forgotten.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        self._until = asyncio.get_running_loop().time() + _SECONDS
        counts = {name: await self._in_batches(statement, now) for name, statement in _STATEMENTS.items()}
        counts["stays"] = await self._forget_stays(now)
        counts["guests"] = await self._in_batches(_guests, now)
        return counts

    @property
    def _in_time(self) -> bool:
        return asyncio.get_running_loop().time() < self._until

    async def _in_batches(self, statement: _Statement, now: datetime) -> int:
        count = 0
        while self._in_time:
            async with self._database.transaction() as connection:
                done = (await connection.execute(statement(now, self._batch))).rowcount
            count += done
            if done < self._batch:
                break
        return count

    async def _forget_stays(self, now: datetime) -> int:
        count = 0
        while self._in_time:
            async with self._database.transaction() as connection:
                done = await self._forget_some_stays(connection, now)
            if done is None:
                break
            count += done
        return count

    async def _forget_some_stays(self, connection: AsyncConnection, now: datetime) -> int | None:
        """Returns how many were forgotten; None: no deleted meeting has any left."""
        columns = MEETINGS.c
        due = (columns.delete_time <= now - HISTORY_MEMORY) & columns.purge_time.is_(None)
        chosen = select(columns.number).where(due).limit(_MEETINGS_AT_ONCE).with_for_update(skip_locked=True)
        numbers: Sequence[str] = (await connection.execute(chosen)).scalars().all()
        if not numbers:
            return None
        theirs = MEETING_PARTICIPANTS.c.meeting_number.in_(numbers)
        done = (await connection.execute(_some(MEETING_PARTICIPANTS, theirs, self._batch))).rowcount
        if done < self._batch:
            await connection.execute(update(MEETINGS).where(columns.number.in_(numbers)).values(purge_time=now))
        return done


def _some(table: Table, condition: ColumnElement[bool], limit: int) -> Delete:
    """Deletes so many rows at most, passing over those that somebody else holds."""
    place: ColumnElement[Any] = literal_column(f"{table.name}.ctid")
    chosen = select(place).select_from(table).where(condition).limit(limit).with_for_update(skip_locked=True, of=table)
    return delete(table).where(place.in_(chosen.correlate(None)))


def _request_ids(now: datetime, limit: int) -> Delete:
    return _some(REQUEST_IDS, REQUEST_IDS.c.expire_time <= now, limit)


def _spent_tokens(now: datetime, limit: int) -> Delete:
    # An unspent one of the same age would be good no more: who shows this one gains nothing and need not be noticed.
    return _some(REFRESH_TOKENS, REFRESH_TOKENS.c.spend_time <= now - SESSION_LIFETIME, limit)


def _over(now: datetime) -> ColumnElement[bool]:
    return USER_SESSIONS.c.expire_time <= now - SESSION_MEMORY


def _tokens_of_old_sessions(now: datetime, limit: int) -> Delete:
    # Before their sessions: one session that went with its tokens could be thousands of rows.
    old = select(USER_SESSIONS.c.id).where(_over(now))
    return _some(REFRESH_TOKENS, REFRESH_TOKENS.c.session_id.in_(old), limit)


def _old_sessions(now: datetime, limit: int) -> Delete:
    has_tokens = exists().where(REFRESH_TOKENS.c.session_id == USER_SESSIONS.c.id)
    return _some(USER_SESSIONS, _over(now) & ~has_tokens, limit)


def _gone_guest() -> Any:  # noqa: ANN401 -- a subquery
    """Guests who can't come back: a guest has no other way in than their session."""
    has_session = exists().where(USER_SESSIONS.c.user_id == USERS.c.id)
    return select(USERS.c.id).where(USERS.c.kind == UserKind.GUEST.value, ~has_session)


def _meetings_of_guests(now: datetime, limit: int) -> Update:
    columns = MEETINGS.c
    over = (columns.state != "active") & (columns.update_time <= now - GUEST_MEMORY)
    chosen = (
        select(columns.number)
        .where(columns.host_id.in_(_gone_guest()), columns.delete_time.is_not(None) | over)
        .limit(limit)
        .with_for_update(skip_locked=True, of=MEETINGS)
    )
    return (
        update(MEETINGS)
        .where(columns.number.in_(chosen))
        .values(delete_time=func.coalesce(columns.delete_time, now), topic="", passcode="", settings={}, host_id=None)
    )


def _guests(now: datetime, limit: int) -> Delete:
    has_meeting = exists().where(MEETINGS.c.host_id == USERS.c.id)
    old = USERS.c.create_time <= now - GUEST_MEMORY
    return _some(USERS, USERS.c.id.in_(_gone_guest()) & old & ~has_meeting, limit)


def _old_entries(now: datetime, limit: int) -> Delete:
    columns = OUTBOX.c
    return _some(OUTBOX, columns.retry_time.is_not(None) & (columns.create_time <= now - OUTBOX_MEMORY), limit)


_STATEMENTS: Mapping[str, _Statement] = {
    "request ids": _request_ids,
    "spent refresh tokens": _spent_tokens,
    "refresh tokens of old sessions": _tokens_of_old_sessions,
    "sessions": _old_sessions,
    "meetings of guests": _meetings_of_guests,
    "outbox entries": _old_entries,
}
