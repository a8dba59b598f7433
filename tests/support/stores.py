"""Real PostgreSQL and Redis for tests, started once a session; each test gets a database of its own."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from parley_cli.parts.postgres import PostgresPart
from parley_cli.parts.redis import program

TEMPLATE = "parley_template"
_NUMBERS = itertools.count(1)


def redis_program() -> Path:
    """Gives the server of live state to test on: the product's Valkey, or the Redis that TEST_REDIS_SERVER names."""
    chosen = os.environ.get("TEST_REDIS_SERVER")
    return Path(chosen) if chosen else program()


def redis_version() -> str:
    """Gives what that server calls itself, as `Valkey 9.1.2`."""
    said = subprocess.run([redis_program(), "--version"], capture_output=True, text=True, check=True, timeout=10).stdout  # noqa: S603 - ours
    name, version = re.findall(r"^(\w+) server v=(\S+)", said)[0]
    return f"{name} {version}"


def admin(part: PostgresPart) -> psycopg.Connection:
    return psycopg.connect(host=str(part.socket_folder), user="postgres", dbname="postgres", autocommit=True)


@contextmanager
def fresh_database(part: PostgresPart, template: str = "template1") -> Iterator[str]:
    """Gives the URL of a new database and drops it afterwards, whoever is still connected."""
    name = f"test_{next(_NUMBERS)}"
    with admin(part) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
    try:
        yield part.database_url(name)
    finally:
        if part.running:
            with admin(part) as connection:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
