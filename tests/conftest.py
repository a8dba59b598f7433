"""What tests of all kinds share: the real stores, started when a test first asks for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from parley_cli.parts.postgres import PostgresPart
from parley_cli.parts.redis import RedisPart
from parley_cli.ports import free_port
from tests.support import stores
from tests.support.fleet import Fleet
from tests.support.otlp import Collector


def pytest_report_header() -> str:
    return f"live state on: {stores.redis_version()}"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresPart]:
    """A PostgreSQL server."""
    part = PostgresPart(tmp_path_factory.mktemp("pg"), durable=False)
    part.start(timeout=60)
    yield part
    part.stop()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisPart]:
    """A server of live state: Valkey, or Redis by TEST_REDIS_SERVER."""
    part = RedisPart(tmp_path_factory.mktemp("redis"), server=stores.redis_program())
    part.start(timeout=60)
    yield part
    part.stop()


@pytest.fixture(scope="session")
def migrated_template(postgres: PostgresPart) -> str:
    """Name of a database with this version's schema, to be copied."""
    from control_plane.platform.postgres import migrate  # noqa: PLC0415 - tests without a database must not need SQLAlchemy

    with stores.admin(postgres) as connection:
        connection.execute(f"CREATE DATABASE {stores.TEMPLATE}")
    migrate.migrate_now(postgres.database_url(stores.TEMPLATE))
    return stores.TEMPLATE


@pytest.fixture
def database_url(postgres: PostgresPart, migrated_template: str) -> Iterator[str]:
    """URL of a database with the schema and nothing in it."""
    with stores.fresh_database(postgres, migrated_template) as url:
        yield url


@pytest.fixture
def redis_url(redis_server: RedisPart) -> str:
    """URL of an empty database of Redis; not that of the shared control plane, whose loops tend nodes of their own."""
    url = f"unix://{redis_server.socket}?db=1"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """A collector to which the fleet sends its spans."""
    collector = Collector()
    collector.start()
    yield collector
    collector.stop()


@pytest.fixture(scope="session")
async def fleet(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> AsyncIterator[Fleet]:
    """The whole product, started by `parley up`."""
    settings = {
        "PARLEY_OTLP_ENDPOINT": collector.grpc_endpoint,
        "PARLEY_OTLP_HTTP_ENDPOINT": collector.http_endpoint,
        "PARLEY_NODE_METRICS_PORT": str(free_port()),
        "PARLEY_NODE_FAULT_SIGNALS": "true",
    }
    fleet = Fleet(tmp_path_factory.mktemp("fleet"), settings)
    await fleet.start()
    yield fleet
    await fleet.stop()
