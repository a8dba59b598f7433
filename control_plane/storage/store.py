"""The store of identity and meetings: transactions on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.application.ports import UnitOfWork
from control_plane.storage.database import Database
from control_plane.storage.meetings import PostgresMeetings
from control_plane.storage.requests import PostgresOutbox, PostgresRequestIds
from control_plane.storage.tables import REQUEST_IDS, USER_SESSIONS
from control_plane.storage.users import PostgresSessions, PostgresUsers

SESSION_MEMORY = timedelta(days=30)
"""Sessions that are over are kept for so long, so that a stolen refresh token is still known as one."""


class PostgresUnit:
    """One transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.users = PostgresUsers(connection)
        self.sessions = PostgresSessions(connection)
        self.meetings = PostgresMeetings(connection)
        self.request_ids = PostgresRequestIds(connection)
        self.outbox = PostgresOutbox(connection)


class PostgresStore:
    """Begins transactions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        """Runs a transaction; STORE_UNAVAILABLE when the database does not answer."""
        async with self._database.transaction() as connection:
            yield PostgresUnit(connection)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[UnitOfWork]:
        """Gives access without a transaction; STORE_UNAVAILABLE when the database does not answer."""
        async with self._database.reading() as connection:
            yield PostgresUnit(connection)

    async def forget_expired(self, now: datetime) -> None:
        """Deletes request ids and sessions whose time is long over."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(REQUEST_IDS).where(REQUEST_IDS.c.expire_time <= now))
            await connection.execute(delete(USER_SESSIONS).where(USER_SESSIONS.c.expire_time <= now - SESSION_MEMORY))
