"""Meetings in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.accounts.tables import USERS
from control_plane.kernel.paging import Position
from control_plane.kernel.records import UNKNOWN, UnreadableRecordError, compact_json, from_plain, plain, read_enum
from control_plane.meetings.model import Meeting, MeetingSettings, MeetingState, MeetingType
from control_plane.meetings.tables import MEETINGS
from control_plane.platform.postgres.database import Database
from control_plane.platform.postgres.outbox import Outbox
from control_plane.platform.postgres.request_ids import RequestIds
from control_plane.platform.postgres.store import Store

Unreadable = Callable[[str, UnreadableRecordError], None]
"""Takes note of a meeting, by its number, that can't be read."""


class Meetings:
    """Meetings as they were planned."""

    def __init__(self, connection: AsyncConnection, unreadable: Unreadable) -> None:
        self._connection = connection
        self._unreadable = unreadable

    async def add(self, meeting: Meeting) -> bool:
        """Adds a meeting; False: its number is, or was, another's."""
        values = {**_values(meeting), "number": meeting.number, "host_id": meeting.host_id}
        statement = upsert(MEETINGS).values(**values).on_conflict_do_nothing(index_elements=["number"])
        added = await self._connection.execute(statement.returning(MEETINGS.c.number))
        return added.first() is not None

    async def get(self, number: str, *, lock: bool = False) -> Meeting | None:
        """Returns a meeting; with `lock` nobody else changes it until the transaction ends."""
        statement = _SELECT.where(MEETINGS.c.number == number)
        if lock:
            statement = statement.with_for_update(of=MEETINGS)
        row = (await self._connection.execute(statement)).first()
        return None if row is None else _meeting(row)

    async def list(
        self, host_id: str, state: MeetingState | None, after: Position | None, limit: int
    ) -> Sequence[Meeting]:
        """Returns a host's meetings, newest first; those that can't be read hide no others."""
        found: list[Meeting] = []
        while (wanted := limit - len(found)) > 0:
            rows = (await self._connection.execute(_page(host_id, state, after, wanted))).all()
            found += [meeting for row in rows if (meeting := self._readable(row)) is not None]
            if len(rows) < wanted:
                break
            after = Position(rows[-1].create_time, rows[-1].number)
        return found

    def _readable(self, row: Row[Any]) -> Meeting | None:
        try:
            return _meeting(row)
        except UnreadableRecordError as error:
            self._unreadable(row.number, error)
            return None

    async def save(self, meeting: Meeting) -> None:
        """Writes a meeting that was changed under lock."""
        statement = update(MEETINGS).where(MEETINGS.c.number == meeting.number).values(**_values(meeting))
        await self._connection.execute(statement)

    async def delete(self, number: str, now: datetime) -> None:
        """Takes a meeting away and forgets what was planned; the number stays taken."""
        forgotten = {"delete_time": now, "topic": "", "passcode": "", "settings": {}}
        await self._connection.execute(update(MEETINGS).where(MEETINGS.c.number == number).values(**forgotten))


class MeetingUnit:
    """One transaction."""

    def __init__(self, connection: AsyncConnection, unreadable: Unreadable) -> None:
        self.meetings = Meetings(connection, unreadable)
        self.request_ids = RequestIds(connection)
        self.outbox = Outbox(connection)


class MeetingStore(Store[MeetingUnit]):
    """Where meetings are kept."""

    def __init__(self, database: Database, unreadable: Unreadable) -> None:
        super().__init__(database, lambda connection: MeetingUnit(connection, unreadable))


_SELECT: Select[Any] = (
    select(MEETINGS, USERS.c.display_name.label("host_display_name"))
    .join_from(MEETINGS, USERS, MEETINGS.c.host_id == USERS.c.id)
    .where(MEETINGS.c.delete_time.is_(None))
)


def _page(host_id: str, state: MeetingState | None, after: Position | None, limit: int) -> Select[Any]:
    columns = MEETINGS.c
    statement = _SELECT.where(columns.host_id == host_id)
    if state is not None:
        statement = statement.where(columns.state == state.value)
    if after is not None:
        statement = statement.where(tuple_(columns.create_time, columns.number) < (after.create_time, after.id))
    return statement.order_by(columns.create_time.desc(), columns.number.desc()).limit(limit)


def _values(meeting: Meeting) -> Mapping[str, Any]:
    # What a newer version wrote in these goes back as it was.
    written = plain(meeting)
    return {
        "type": written["type"],
        "state": written["state"],
        "topic": meeting.topic,
        "passcode": meeting.passcode,
        "scheduled_start_time": meeting.scheduled_start_time,
        "scheduled_seconds": round(meeting.scheduled_duration.total_seconds()),
        "time_zone": meeting.time_zone,
        "settings": written["settings"],
        "create_time": meeting.create_time,
        "update_time": meeting.update_time,
        "start_time": meeting.start_time,
        "end_time": meeting.end_time,
        "revision": meeting.revision,
    }


def _meeting(row: Row[Any]) -> Meeting:
    kind, state = read_enum(MeetingType, row.type), read_enum(MeetingState, row.state)
    others = {
        name: value
        for name, member, value in (("type", kind, row.type), ("state", state, row.state))
        if member.value == UNKNOWN
    }
    return Meeting(
        number=row.number,
        host_id=row.host_id,
        host_display_name=row.host_display_name,
        passcode=row.passcode,
        type=kind,
        state=state,
        create_time=row.create_time,
        update_time=row.update_time,
        topic=row.topic,
        scheduled_start_time=row.scheduled_start_time,
        scheduled_duration=timedelta(seconds=row.scheduled_seconds),
        time_zone=row.time_zone,
        settings=from_plain(MeetingSettings, row.settings),
        start_time=row.start_time,
        end_time=row.end_time,
        revision=row.revision,
        others=compact_json(others) if others else "",
    )
