"""Transactions of one capability: a unit gives access to its tables, over one connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.platform.postgres.database import Database

UnitT = TypeVar("UnitT")


class Store(Generic[UnitT]):
    """Begins transactions.

    Args:
        database: Where.
        unit: Makes what the capability reaches over a connection.
    """

    def __init__(self, database: Database, unit: Callable[[AsyncConnection], UnitT]) -> None:
        self._database = database
        self._unit = unit

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitT]:
        """Begins a transaction, which commits when its block ends well and is rolled back when it raises.

        Raises:
            DomainError: STORE_UNAVAILABLE, within a few seconds.
        """
        async with self._database.transaction() as connection:
            yield self._unit(connection)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[UnitT]:
        """Gives access without a transaction, for reads: each statement stands alone and costs one round trip.

        Raises:
            DomainError: STORE_UNAVAILABLE, within a few seconds.
        """
        async with self._database.reading() as connection:
            yield self._unit(connection)
