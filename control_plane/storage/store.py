"""The store of identity and meetings: transactions on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.application.ports import UnitOfWork
from control_plane.storage.database import Database
from control_plane.storage.meetings import PostgresMeetings, Unreadable
from control_plane.storage.requests import PostgresOutbox, PostgresRequestIds
from control_plane.storage.users import PostgresSessions, PostgresUsers


class PostgresUnit:
    """One transaction."""

    def __init__(self, connection: AsyncConnection, unreadable: Unreadable) -> None:
        self.users = PostgresUsers(connection)
        self.sessions = PostgresSessions(connection)
        self.meetings = PostgresMeetings(connection, unreadable)
        self.request_ids = PostgresRequestIds(connection)
        self.outbox = PostgresOutbox(connection)


class PostgresStore:
    """Begins transactions."""

    def __init__(self, database: Database, unreadable: Unreadable) -> None:
        self._database = database
        self._unreadable = unreadable

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        """Runs a transaction; STORE_UNAVAILABLE when the database does not answer."""
        async with self._database.transaction() as connection:
            yield PostgresUnit(connection, self._unreadable)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[UnitOfWork]:
        """Gives access without a transaction; STORE_UNAVAILABLE when the database does not answer."""
        async with self._database.reading() as connection:
            yield PostgresUnit(connection, self._unreadable)
