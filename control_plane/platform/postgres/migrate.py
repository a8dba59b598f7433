"""Brings a database to this version's schema, by the migrations that are part of this package."""

from __future__ import annotations

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import NullPool, create_engine, text

from control_plane.platform.postgres.database import CONNECT_TIMEOUT, store_failures

_MIGRATIONS = Path(__file__).with_name("migrations")
# "Parley" in ASCII: any number that nobody else takes for a lock will do.
_LOCK = 0x5061726C6579


async def migrate(url: str) -> None:
    """Applies the migrations that are missing. Of several processes at a time one does it and the others wait.

    Args:
        url: SQLAlchemy URL with the driver psycopg.

    Raises:
        DomainError: STORE_UNAVAILABLE.
    """
    await asyncio.to_thread(migrate_now, url)


def configuration() -> Config:
    """Returns the configuration of Alembic for this package's migrations."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def migrate_now(url: str) -> None:
    """Does what `migrate` does, and blocks."""
    engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": CONNECT_TIMEOUT})
    with store_failures(), engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
        connection.commit()
        try:
            config = configuration()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})
            connection.commit()
