"""The migrations and the tables say the same."""

from __future__ import annotations

import asyncio

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from control_plane import app  # noqa: F401 -- it knows all tables
from control_plane.platform.postgres.metadata import METADATA
from control_plane.platform.postgres.migrate import migrate
from parley_cli.parts.postgres import PostgresPart
from tests.support.stores import fresh_database


def test_migrations_lead_to_the_tables(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


async def test_processes_that_start_together_migrate_once(postgres: PostgresPart) -> None:
    with fresh_database(postgres) as url:
        await asyncio.gather(*(migrate(url) for _ in range(4)))
        engine = create_engine(url)
        with engine.connect() as connection:
            assert MigrationContext.configure(connection).get_current_revision() is not None
        engine.dispose()
