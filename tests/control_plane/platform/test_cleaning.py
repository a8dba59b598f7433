"""What lasts has an end: each table that grows is cleaned, in batches, and what is still of use stays."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, insert, select, text

from control_plane.accounts import cleaning as accounts
from control_plane.accounts.cleaning import SESSION_MEMORY
from control_plane.accounts.model import SESSION_LIFETIME, SignIn, User, UserKind
from control_plane.accounts.tables import REFRESH_TOKENS, USER_SESSIONS, USERS
from control_plane.history import cleaning as history
from control_plane.history.cleaning import HISTORY_MEMORY
from control_plane.history.model import Stay
from control_plane.history.store import Stays
from control_plane.history.tables import MEETING_PARTICIPANTS
from control_plane.kernel.roles import ParticipantRole
from control_plane.log.participant import Participant, ParticipantState
from control_plane.meetings import cleaning as meetings
from control_plane.meetings.cleaning import GUEST_MEMORY
from control_plane.meetings.model import Meeting, MeetingState, MeetingType
from control_plane.meetings.tables import MEETINGS
from control_plane.platform.postgres.cleaning import OUTBOX_MEMORY, Cleaner, Rules
from control_plane.platform.postgres.database import Database
from control_plane.platform.postgres.metadata import METADATA
from control_plane.platform.postgres.tables import OUTBOX, REQUEST_IDS
from tests.support.tables import AnyStore

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MOMENT = timedelta(seconds=1)


@pytest.fixture
def cleaner(database: Database) -> Cleaner:
    return Cleaner(database, Rules(*accounts.RULES, *meetings.RULES, *history.RULES), batch=3)


async def count(database: Database, table: Any) -> int:  # noqa: ANN401 - a table
    async with database.reading() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


async def add_user(store: AnyStore, kind: UserKind = UserKind.GUEST, expire_time: datetime = NOW) -> User:
    email = f"{uuid4()}@example.org" if kind is UserKind.ACCOUNT else ""
    user = User(str(uuid4()), kind, "Ana", NOW - SESSION_LIFETIME, email=email)
    async with store.begin() as unit:
        await unit.users.add(user, "")
        await unit.sign_ins.add(
            SignIn(str(uuid4()), user.id, "agent", NOW - SESSION_LIFETIME, NOW - SESSION_LIFETIME, expire_time)
        )
    return user


async def session_of(database: Database, user: User) -> str:
    async with database.reading() as connection:
        found = await connection.execute(select(USER_SESSIONS.c.id).where(USER_SESSIONS.c.user_id == user.id))
        return str(found.scalar_one())


async def add_meeting(store: AnyStore, host: User, number: str, state: MeetingState = MeetingState.ENDED) -> Meeting:
    meeting = Meeting(
        number, host.id, "Ana", "1234", MeetingType.INSTANT, state, NOW, NOW, topic="secret plans", start_time=NOW
    )
    async with store.begin() as unit:
        assert await unit.meetings.add(meeting)
    return meeting


def test_every_table_has_somebody_who_cleans_it() -> None:
    """A table that is added here has to say what bounds it."""
    bounds = {
        USERS: "guests by the cleaner; accounts are people's own",
        USER_SESSIONS: "the cleaner",
        REFRESH_TOKENS: "the cleaner",
        MEETINGS: "deleted by hosts, those of guests by the cleaner; numbers are never used again",
        MEETING_PARTICIPANTS: "the cleaner, after the meeting",
        REQUEST_IDS: "the cleaner",
        OUTBOX: "the relay; what it can't relay, the cleaner",
    }

    assert set(bounds) >= set(METADATA.tables.values())


async def test_request_ids_end_after_a_day(store: AnyStore, database: Database, cleaner: Cleaner) -> None:
    for number in range(8):
        async with store.begin() as unit:
            await unit.request_ids.claim("ada", str(uuid4()), b"f", NOW + timedelta(hours=number // 7))

    assert (await cleaner.clean(NOW + timedelta(hours=24)))["request ids"] == 7, "in three batches"
    assert await count(database, REQUEST_IDS) == 1


async def test_spent_tokens_are_known_for_as_long_as_an_unspent_one_is_good(
    store: AnyStore, database: Database, cleaner: Cleaner
) -> None:
    session = await session_of(database, await add_user(store, UserKind.ACCOUNT, NOW + timedelta(days=365)))
    async with store.begin() as unit:
        for number in range(10):
            await unit.sign_ins.add_refresh_token(session, bytes([number]), NOW)
            if number:
                await unit.sign_ins.spend_refresh_token(bytes([number]), NOW)

    await cleaner.clean(NOW + SESSION_LIFETIME - MOMENT)
    assert await count(database, REFRESH_TOKENS) == 10
    await cleaner.clean(NOW + SESSION_LIFETIME)
    assert await count(database, REFRESH_TOKENS) == 1, "the unspent one"
    assert await count(database, USER_SESSIONS) == 1


async def test_a_session_that_is_over_goes_after_its_tokens(
    store: AnyStore, database: Database, cleaner: Cleaner
) -> None:
    user = await add_user(store, UserKind.ACCOUNT, NOW)
    session = await session_of(database, user)
    async with store.begin() as unit:
        for number in range(10):
            await unit.sign_ins.add_refresh_token(session, bytes([number]), NOW)

    await cleaner.clean(NOW + SESSION_MEMORY - MOMENT)
    assert await count(database, USER_SESSIONS) == 1
    counts = await cleaner.clean(NOW + SESSION_MEMORY)

    assert (counts["refresh tokens of old sessions"], counts["sessions"]) == (10, 1)
    assert await count(database, USERS) == 1, "an account is its owner's, whether they are signed in or not"


async def test_a_guest_goes_with_their_meetings_when_they_can_not_come_back(
    store: AnyStore, database: Database, cleaner: Cleaner
) -> None:
    gone, here = await add_user(store), await add_user(store, expire_time=NOW + timedelta(days=365))
    account = await add_user(store, UserKind.ACCOUNT)
    for number, host in enumerate((gone, gone, here, account)):
        await add_meeting(store, host, f"1234567890{number}")
    active = await add_meeting(store, gone, "22345678901", MeetingState.ACTIVE)
    stays = Stays(database)
    await stays.record([stay(f"1234567890{number}") for number in (0, 0, 0, 0, 1, 2, 3)])

    later = NOW + SESSION_MEMORY + GUEST_MEMORY
    counts = await cleaner.clean(later)
    assert (counts["meetings of guests"], counts["guests"]) == (2, 0), "somebody is in a meeting of theirs"
    async with store.begin() as unit:
        await unit.meetings.save(replace(active, state=MeetingState.ENDED, update_time=NOW))
    counts = await cleaner.clean(later)

    assert (counts["meetings of guests"], counts["guests"]) == (1, 1)
    async with database.reading() as connection:
        rows = (await connection.execute(select(MEETINGS).order_by(MEETINGS.c.number))).all()
    assert len(rows) == 5, "numbers are never used again"
    forgotten = [row for row in rows if row.delete_time is not None]
    assert len(forgotten) == 3
    assert {(row.topic, row.passcode, row.host_id, str(row.settings)) for row in forgotten} == {("", "", None, "{}")}
    async with store.read() as unit:
        assert await unit.users.get(gone.id) is None
        assert await unit.users.get(here.id) is not None
        assert await unit.users.get(account.id) is not None
        assert await unit.meetings.get("12345678900") is None
        assert await unit.meetings.get("12345678902") is not None

    assert await count(database, MEETING_PARTICIPANTS) == 7, "who was in it is known for a while"
    assert (await cleaner.clean(later + HISTORY_MEMORY))["stays"] == 5
    assert await count(database, MEETING_PARTICIPANTS) == 2


def stay(number: str) -> Stay:
    person = Participant(str(uuid4()), "Ben", ParticipantRole.PARTICIPANT, ParticipantState.LEFT, NOW)
    return Stay(number, person, NOW)


async def test_who_was_in_a_deleted_meeting_is_forgotten_once(
    store: AnyStore, database: Database, cleaner: Cleaner
) -> None:
    host = await add_user(store, UserKind.ACCOUNT, NOW + timedelta(days=365))
    await add_meeting(store, host, "12345678901")
    await Stays(database).record([stay("12345678901") for _ in range(10)])
    async with store.begin() as unit:
        await unit.meetings.delete("12345678901", NOW)

    assert (await cleaner.clean(NOW + HISTORY_MEMORY - MOMENT))["stays"] == 0
    assert (await cleaner.clean(NOW + HISTORY_MEMORY))["stays"] == 10
    async with database.reading() as connection:
        purged = (await connection.execute(select(MEETINGS.c.purge_time))).scalar_one()
    assert purged == NOW + HISTORY_MEMORY, "it is not looked at again"


async def test_outbox_entries_that_can_not_be_relayed_end_after_a_month(database: Database, cleaner: Cleaner) -> None:
    entry = {"kind": "of_tomorrow", "meeting_number": "12345678901", "participant_id": "", "traceparent": ""}
    async with database.transaction() as connection:
        await connection.execute(insert(OUTBOX).values(**entry))
        await connection.execute(insert(OUTBOX).values(**entry, retry_time=func.now()))

    now = datetime.now(UTC)
    assert (await cleaner.clean(now))["outbox entries"] == 0
    assert (await cleaner.clean(now + OUTBOX_MEMORY + MOMENT))["outbox entries"] == 1
    assert await count(database, OUTBOX) == 1, "one that was never tried is the relay's"


async def test_two_replicas_clean_at_the_same_time(store: AnyStore, database: Database) -> None:
    for _ in range(40):
        async with store.begin() as unit:
            await unit.request_ids.claim("ada", str(uuid4()), b"f", NOW)
    cleaners = [Cleaner(database, Rules(*accounts.RULES, *meetings.RULES, *history.RULES), batch=5) for _ in range(3)]

    counts = await asyncio.gather(*[one.clean(NOW + timedelta(days=2)) for one in cleaners])

    assert sum(one["request ids"] for one in counts) == 40
    assert await count(database, REQUEST_IDS) == 0


async def test_no_batch_needs_long_whatever_there_is(database: Database) -> None:
    """Each statement finds what it deletes by an index: none walks through all that stays."""
    async with database.transaction() as connection:
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        for statement in (
            "SELECT 1 FROM request_ids WHERE expire_time <= now()",
            "SELECT 1 FROM refresh_tokens WHERE spend_time <= now()",
            "SELECT 1 FROM user_sessions WHERE expire_time <= now()",
            "SELECT 1 FROM users WHERE kind = 'guest' AND create_time <= now()",
            "SELECT 1 FROM meetings WHERE host_id = gen_random_uuid()",
            "SELECT 1 FROM meetings WHERE delete_time <= now() AND purge_time IS NULL",
        ):
            plan = "\n".join((await connection.execute(text(f"EXPLAIN {statement}"))).scalars())
            assert "Index" in plan, plan
            assert "Seq Scan" not in plan, plan
