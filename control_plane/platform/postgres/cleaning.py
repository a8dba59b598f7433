"""What is over is forgotten, in batches that each end long before the server cancels a statement."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Delete, Table, Update, delete, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.platform.postgres.database import Database
from control_plane.platform.postgres.tables import OUTBOX, REQUEST_IDS

OUTBOX_MEMORY: Final = timedelta(days=30)
"""An entry that could not be relayed is tried for so long."""
_BATCH: Final = 1_000
_SECONDS: Final = 15.0
"""So long each rule has in one cleaning; a rule with much to forget takes no other's time."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step has forgotten.

    Attributes:
        count: So many rows.
        more: Whether there may be more.
    """

    count: int
    more: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """What of a capability is forgotten.

    Attributes:
        name: Of what, for the log.
        step: Forgets so many rows at most, of what is over by then.
    """

    name: str
    step: Callable[[AsyncConnection, datetime, int], Awaitable[Batch]]


def by_statement(name: str, make: Callable[[datetime, int], Delete | Update]) -> Rule:
    """Returns the rule of what one statement forgets."""

    async def step(connection: AsyncConnection, now: datetime, limit: int) -> Batch:
        count = (await connection.execute(make(now, limit))).rowcount
        return Batch(count, more=count >= limit)

    return Rule(name, step)


def some(table: Table, condition: ColumnElement[bool], limit: int) -> Delete:
    """Returns the statement that deletes so many rows at most, passing over those that somebody else holds."""
    place: ColumnElement[Any] = literal_column(f"{table.name}.ctid")
    chosen = select(place).select_from(table).where(condition).limit(limit).with_for_update(skip_locked=True, of=table)
    return delete(table).where(place.in_(chosen.correlate(None)))


class Rules:
    """The rules of all capabilities, in the order in which they were added."""

    def __init__(self, *rules: Rule) -> None:
        self.all = [by_statement("request ids", _request_ids), by_statement("outbox entries", _old_entries), *rules]

    def add(self, *rules: Rule) -> None:
        """Takes a capability's rules in."""
        self.all += rules


class Cleaner:
    """Forgets what is over."""

    def __init__(self, database: Database, rules: Rules, *, batch: int = _BATCH) -> None:
        self._database = database
        self._rules = rules
        self._batch = batch

    async def clean(self, now: datetime) -> Mapping[str, int]:
        """Forgets what is over; what is too much for once is left for the next time.

        Returns:
            How many rows of what were forgotten.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        return {rule.name: await self._apply(rule, now) for rule in self._rules.all}

    async def _apply(self, rule: Rule, now: datetime) -> int:
        until = asyncio.get_running_loop().time() + _SECONDS
        count, more = 0, True
        while more and asyncio.get_running_loop().time() < until:
            async with self._database.transaction() as connection:
                batch = await rule.step(connection, now, self._batch)
            count, more = count + batch.count, batch.more
        return count


def _request_ids(now: datetime, limit: int) -> Delete:
    return some(REQUEST_IDS, REQUEST_IDS.c.expire_time <= now, limit)


def _old_entries(now: datetime, limit: int) -> Delete:
    columns = OUTBOX.c
    return some(OUTBOX, columns.retry_time.is_not(None) & (columns.create_time <= now - OUTBOX_MEMORY), limit)
