"""Real PostgreSQL and Redis for tests, started once a session; each test gets a database of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from parley_cli.parts.postgres import PostgresPart

TEMPLATE = "parley_template"
_NUMBERS = itertools.count(1)


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
