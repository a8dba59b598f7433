"""The database: its schema is brought up to date, and what is over is forgotten."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import structlog

from control_plane.kernel.clock import Clock
from control_plane.kernel.errors import DomainError
from control_plane.platform.capability import Capability, House, Part, Task
from control_plane.platform.outbox import OutboxReader
from control_plane.platform.postgres.cleaning import Cleaner, Rules
from control_plane.platform.postgres.database import Database
from control_plane.platform.postgres.migrate import migrate
from control_plane.platform.postgres.outbox import PostgresOutboxReader
from control_plane.settings import ControlPlaneSettings

_FIRST_TRY_SECONDS: Final = 10.0
_TRY_AGAIN_SECONDS: Final = 1.0
_SCHEMA_SECONDS: Final = 60.0
_CLEANING_SECONDS: Final = 3600.0

_log = structlog.get_logger(__name__)


class Schema:
    """Brings the schema up to date.

    A database that can't be reached does not keep the process from serving: meetings go on without it. The schema is
    looked after as soon as the database is back, and until then it counts as unreachable.
    """

    def __init__(self, database: Database, url: str) -> None:
        self._database = database
        self._url = url

    async def open(self) -> None:
        """Migrates the database if that was not done yet.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        if not self._database.opened.is_set():
            await migrate(self._url)
            self._database.opened.set()

    async def open_soon(self) -> None:
        """Tries for a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_TRY_SECONDS):
                while not await self._opened():
                    _log.warning("database.unreachable", try_again_seconds=_TRY_AGAIN_SECONDS)
                    await asyncio.sleep(_TRY_AGAIN_SECONDS)

    async def _opened(self) -> bool:
        try:
            await self.open()
        except DomainError:
            return False
        return True


def _build(house: House) -> Part:
    url = house.need(ControlPlaneSettings).database_url.get_secret_value()
    clock = house.need(Clock)
    database = house.provide(Database, lambda: Database(url))
    house.provide(OutboxReader, lambda: PostgresOutboxReader(database))
    cleaner = house.provide(Cleaner, lambda: Cleaner(database, house.provide(Rules, Rules)))
    schema = Schema(database, url)

    async def clean() -> None:
        counts = await cleaner.clean(clock.now())
        forgotten = {name.replace(" ", "_"): count for name, count in counts.items() if count}
        if forgotten:
            _log.info("database.cleaned", **forgotten)

    return Part(
        tasks=[Task("schema", schema.open, _SCHEMA_SECONDS), Task("cleaning", clean, _CLEANING_SECONDS)],
        start=[schema.open_soon],
        close=[database.close],
    )


CAPABILITY = Capability("platform.postgres", _build)
