"""Repositories on the real PostgreSQL and counters on the real Redis."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select

from control_plane.accounts.model import User, UserKind
from control_plane.history.model import Stay
from control_plane.history.store import Stays
from control_plane.history.tables import MEETING_PARTICIPANTS
from control_plane.kernel.errors import DomainError
from control_plane.kernel.roles import ParticipantRole
from control_plane.log.participant import LeaveReason, Participant, ParticipantState
from control_plane.meetings.model import Meeting, MeetingState, MeetingType
from control_plane.platform.limits import Limit
from control_plane.platform.outbox import MEETING_ENDED, MEETING_UPDATED, OutboxEntry
from control_plane.platform.postgres.cleaning import Cleaner, Rules
from control_plane.platform.postgres.database import Database
from control_plane.platform.postgres.outbox import PostgresOutboxReader
from control_plane.platform.redis.attempts import Attempts
from control_plane.platform.redis.client import connect
from parley_cli.parts.redis import RedisPart
from tests.support.tables import AnyStore

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def add_meeting(store: AnyStore) -> Meeting:
    host = User(str(uuid4()), UserKind.GUEST, "Guest", NOW)
    meeting = Meeting(
        number="12345678901",
        host_id=host.id,
        host_display_name="Guest",
        passcode="1234",
        type=MeetingType.INSTANT,
        state=MeetingState.SCHEDULED,
        create_time=NOW,
        update_time=NOW,
    )
    async with store.begin() as unit:
        await unit.users.add(host, "")
        assert await unit.meetings.add(meeting)
    return meeting


async def test_a_transaction_that_fails_leaves_nothing(store: AnyStore) -> None:
    meeting = await add_meeting(store)

    async def fail() -> None:
        async with store.begin() as unit:
            await unit.meetings.save(replace(meeting, topic="Lost"))
            await unit.outbox.add(MEETING_UPDATED, meeting.number)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with store.read() as unit:
        assert await unit.meetings.get(meeting.number) == meeting


async def test_the_outbox_is_handed_over_in_order_and_once(store: AnyStore, database: Database) -> None:
    async with store.begin() as unit:
        await unit.outbox.add(MEETING_UPDATED, "1")
        await unit.outbox.add(MEETING_ENDED, "1", participant_id="ada")
    reader, seen = PostgresOutboxReader(database), list[OutboxEntry]()

    async def handle(entry: OutboxEntry) -> None:
        seen.append(entry)

    assert await reader.relay(handle) == 2
    assert [(entry.kind, entry.meeting_id, entry.participant_id) for entry in seen] == [
        (MEETING_UPDATED, "1", ""),
        (MEETING_ENDED, "1", "ada"),
    ]
    assert seen[0].id < seen[1].id
    assert await reader.relay(handle) == 0


async def test_what_could_not_be_handled_stays_with_its_id(store: AnyStore, database: Database) -> None:
    async with store.begin() as unit:
        await unit.outbox.add(MEETING_UPDATED, "1")
        await unit.outbox.add(MEETING_UPDATED, "2")
    reader, seen = PostgresOutboxReader(database), list[OutboxEntry]()

    async def fail_at_second(entry: OutboxEntry) -> None:
        seen.append(entry)
        if len(seen) == 2:
            raise ConnectionError

    # What a handler raises is not the database's failure, whatever it is.
    with pytest.raises((ConnectionError, DomainError)):
        await reader.relay(fail_at_second)
    assert await reader.relay(fail_at_second) == 1
    assert seen[1] == seen[2]


async def test_relays_never_have_the_same_entry_and_keep_each_meetings_order(
    store: AnyStore, database: Database
) -> None:
    async with store.begin() as unit:
        for number in range(20):
            await unit.outbox.add(MEETING_UPDATED, str(number % 4))
    begun, ended = list[OutboxEntry](), list[OutboxEntry]()

    async def handle(entry: OutboxEntry) -> None:
        begun.append(entry)
        await asyncio.sleep(0.01)
        ended.append(entry)

    async def relay_all() -> None:
        while len(ended) < 20:
            await PostgresOutboxReader(database).relay(handle)

    await asyncio.gather(*(relay_all() for _ in range(3)))
    assert len(begun) == len(set(begun)) == 20
    for order in (begun, ended):
        for meeting in "0123":
            ids = [entry.id for entry in order if entry.meeting_id == meeting]
            assert ids == sorted(ids)


async def test_a_stay_is_the_same_in_whatever_order_it_is_told(store: AnyStore, database: Database) -> None:
    meeting, stays = await add_meeting(store), Stays(database)
    began = Participant(
        id=str(uuid4()),
        display_name="Ada",
        role=ParticipantRole.HOST,
        state=ParticipantState.JOINING,
        join_time=NOW,
        user_id=meeting.host_id,
    )
    ended = replace(began, state=ParticipantState.LEFT)
    start = Stay(meeting.number, began)
    end = Stay(meeting.number, ended, NOW + timedelta(minutes=5), LeaveReason.LEFT)
    for order in ([start, end], [end, start], [start, start, end, end]):
        fresh = str(uuid4())
        named = [replace(stay, participant=replace(stay.participant, id=fresh)) for stay in order]
        await stays.record(named)
        async with database.reading() as connection:
            rows = await connection.execute(
                select(MEETING_PARTICIPANTS).where(MEETING_PARTICIPANTS.c.participant_id == fresh)
            )
            row = rows.one()
        assert (row.join_time, row.leave_time, row.leave_reason) == (NOW, NOW + timedelta(minutes=5), "left")
    await stays.record([])


async def test_a_request_id_is_free_again_after_a_day(store: AnyStore) -> None:
    request = str(uuid4())
    async with store.begin() as unit:
        assert await unit.request_ids.claim("ada", request, b"one", NOW) is None
        await unit.request_ids.keep("ada", request, "made")
    async with store.begin() as unit:
        assert await unit.request_ids.claim("ada", request, b"one", NOW + timedelta(hours=23)) == "made"
    async with store.begin() as unit:
        assert await unit.request_ids.claim("ada", request, b"two", NOW + timedelta(hours=25)) is None


async def test_what_has_expired_is_forgotten(store: AnyStore) -> None:
    request = str(uuid4())
    async with store.begin() as unit:
        await unit.request_ids.claim("ada", request, b"one", NOW)
    await Cleaner(store._database, Rules()).clean(NOW + timedelta(hours=25))
    async with store.begin() as unit:
        assert await unit.request_ids.claim("ada", request, b"two", NOW) is None


async def test_attempts_are_counted_and_end(redis_server: RedisPart) -> None:
    client = connect(redis_server.url)
    attempts, key, limit = Attempts(client), str(uuid4()), Limit(2, 60)
    try:
        first, second, third = [await attempts.count(key, limit) for _ in range(3)]
        assert [(one.allowed, one.left) for one in (first, second, third)] == [(True, 1), (True, 0), (False, 0)]
        assert 0 < third.retry_after <= 30
        assert 0 < await client.pttl(f"attempts:{{{key}}}") <= 60_000
    finally:
        await client.aclose()
