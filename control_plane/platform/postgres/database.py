"""PostgreSQL as the control plane uses it: every wait is bounded, and a database that is gone is STORE_UNAVAILABLE."""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from control_plane.kernel.errors import store_unavailable

POOL_SIZE = 10
POOL_OVERFLOW = 10
POOL_TIMEOUT = 2.0
CONNECT_TIMEOUT = 2
"""Seconds; libpq takes no less."""
TRANSACTION_TIMEOUT = 5.0
"""The server cancels a statement after 3 s. A server that does not answer at all is given up after this."""
_CANCEL_TIMEOUT = 1.0
_SESSION_OPTIONS = "-c statement_timeout=3000 -c lock_timeout=2000 -c idle_in_transaction_session_timeout=15000"
_STORE = "database"


class Database:
    """A pool of connections that recovers by itself.

    Attributes:
        opened: Set when the schema is this version's; until then the database counts as unreachable.
    """

    def __init__(self, url: str) -> None:
        """Nothing is connected before the first transaction.

        Args:
            url: SQLAlchemy URL with the driver psycopg.
        """
        self.opened = asyncio.Event()
        self._engine = create_async_engine(
            url,
            pool_size=POOL_SIZE,
            max_overflow=POOL_OVERFLOW,
            pool_timeout=POOL_TIMEOUT,
            pool_reset_on_return=None,  # both ways in below leave no transaction open
            hide_parameters=True,  # what people wrote must not stand in logs
            connect_args={"connect_timeout": CONNECT_TIMEOUT, "options": _SESSION_OPTIONS},
        )
        self._autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        event.listen(self._engine.sync_engine, "checkout", _refuse_dead)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Runs a transaction: committed when the block ends well, rolled back when it raises.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        async with self._patience(), self._engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Gives a connection on which each statement stands alone, in one round trip.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        async with self._patience(), self._autocommit.connect() as connection:
            yield connection

    async def check(self) -> None:
        """Asks the server something.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        async with self.reading() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Closes all connections."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _patience(self) -> AsyncIterator[None]:
        if not self.opened.is_set():
            raise store_unavailable(_STORE)
        with store_failures():
            # At the first timeout the driver asks the server to cancel; at the second it waits no longer for that.
            async with asyncio.timeout(TRANSACTION_TIMEOUT + _CANCEL_TIMEOUT), asyncio.timeout(TRANSACTION_TIMEOUT):
                yield


@contextmanager
def store_failures() -> Iterator[None]:
    """Turns failures of the database into STORE_UNAVAILABLE; errors of ours in a statement stay what they are."""
    try:
        yield
    except (OperationalError, InterfaceError, InternalError, PoolTimeoutError, TimeoutError, OSError) as error:
        raise store_unavailable(_STORE) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise store_unavailable(_STORE) from error
        raise


def _refuse_dead(connection: Any, _record: object, _proxy: object) -> None:  # noqa: ANN401 - SQLAlchemy's adapter
    """Has the pool replace a connection whose server is gone.

    A server says nothing on an idle connection until it ends it, so a socket with something to read is a dead one. That
    costs a system call where SQLAlchemy's own pre-ping costs a round trip.
    """
    poll = select.poll()
    poll.register(connection.driver_connection.pgconn.socket, select.POLLIN)
    if poll.poll(0):
        raise DisconnectionError
