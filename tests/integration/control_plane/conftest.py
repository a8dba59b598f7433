from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from control_plane.storage.database import Database
from control_plane.storage.store import PostgresStore
from parley_cli.parts.postgres import PostgresPart
from parley_cli.parts.redis import RedisPart
from tests.support.control_plane import Running, running
from tests.support.stores import fresh_database


@pytest_asyncio.fixture(scope="session")
async def plane(
    postgres: PostgresPart,
    migrated_template: str,
    redis_server: RedisPart,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Running]:
    """A control plane for all tests: each makes its own people and meetings, and the clock only ever goes forward."""
    folder = tmp_path_factory.mktemp("plane")
    with fresh_database(postgres, migrated_template) as url:
        async with running(url, redis_server.url, folder) as it:
            yield it


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    it = Database(database_url)
    it.opened.set()
    yield it
    await it.close()


@pytest.fixture
def store(database: Database) -> PostgresStore:
    return PostgresStore(database, lambda number, error: pytest.fail(f"{number}: {error}"))
