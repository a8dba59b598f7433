"""Users and their sign-ins in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.accounts.errors import email_taken
from control_plane.accounts.model import Plan, SignIn, User, UserKind
from control_plane.accounts.tables import REFRESH_TOKENS, USER_SESSIONS, USERS
from control_plane.kernel.paging import Position
from control_plane.kernel.records import read_enum
from control_plane.platform.postgres.database import Database
from control_plane.platform.postgres.request_ids import RequestIds
from control_plane.platform.postgres.store import Store


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token as it is kept: by its hash.

    Attributes:
        session: The session it renews.
        spend_time: When it was spent; None: not yet.
    """

    session: SignIn
    spend_time: datetime | None


class Users:
    """Users and their passwords."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, user: User, password_hash: str) -> None:
        """Adds a user; EMAIL_TAKEN when there is an account with the address."""
        statement = (
            upsert(USERS)
            .values(
                id=user.id,
                kind=user.kind.value,
                email=user.email or None,
                password_hash=password_hash,
                display_name=user.display_name,
                plan=user.plan.value,
                time_zone=user.time_zone,
                create_time=user.create_time,
            )
            .on_conflict_do_nothing(index_elements=["email"])
        )
        added = await self._connection.execute(statement.returning(USERS.c.id))
        if added.first() is None:
            raise email_taken()

    async def get(self, user_id: str) -> User | None:
        """Returns a user."""
        row = (await self._connection.execute(select(USERS).where(USERS.c.id == user_id))).first()
        return None if row is None else _user(row)

    async def by_email(self, email: str) -> tuple[User, str] | None:
        """Returns the account of a normalised address with its password hash."""
        row = (await self._connection.execute(select(USERS).where(USERS.c.email == email))).first()
        return None if row is None else (_user(row), row.password_hash)

    async def set_password_hash(self, user_id: str, password_hash: str) -> None:
        """Replaces a password's hash."""
        await self._connection.execute(update(USERS).where(USERS.c.id == user_id).values(password_hash=password_hash))


class SignIns:
    """Users' sessions and their refresh tokens."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, session: SignIn) -> None:
        """Adds a session."""
        await self._connection.execute(
            insert(USER_SESSIONS).values(
                id=session.id,
                user_id=session.user_id,
                user_agent=session.user_agent,
                create_time=session.create_time,
                last_use_time=session.last_use_time,
                expire_time=session.expire_time,
                revoke_time=session.revoke_time,
            )
        )

    async def get(self, session_id: str) -> SignIn | None:
        """Returns a session."""
        row = (await self._connection.execute(select(USER_SESSIONS).where(USER_SESSIONS.c.id == session_id))).first()
        return None if row is None else _session(row)

    async def list(self, user_id: str, after: Position | None, limit: int, now: datetime) -> Sequence[SignIn]:
        """Returns a user's living sessions, newest first."""
        columns = USER_SESSIONS.c
        statement = select(USER_SESSIONS).where(
            columns.user_id == user_id, columns.revoke_time.is_(None), columns.expire_time > now
        )
        if after is not None:
            statement = statement.where(tuple_(columns.create_time, columns.id) < (after.create_time, after.id))
        statement = statement.order_by(columns.create_time.desc(), columns.id.desc()).limit(limit)
        return [_session(row) for row in await self._connection.execute(statement)]

    async def revoke(self, session_id: str, now: datetime) -> None:
        """Ends a session."""
        living = (USER_SESSIONS.c.id == session_id) & USER_SESSIONS.c.revoke_time.is_(None)
        await self._connection.execute(update(USER_SESSIONS).where(living).values(revoke_time=now))

    async def renew(self, session_id: str, now: datetime, expire_time: datetime) -> None:
        """Notes a use of a session."""
        await self._connection.execute(
            update(USER_SESSIONS)
            .where(USER_SESSIONS.c.id == session_id)
            .values(last_use_time=now, expire_time=expire_time)
        )

    async def add_refresh_token(self, session_id: str, token_hash: bytes, now: datetime) -> None:
        """Adds a refresh token that has not been spent."""
        await self._connection.execute(
            insert(REFRESH_TOKENS).values(hash=token_hash, session_id=session_id, create_time=now)
        )

    async def lock_refresh_token(self, token_hash: bytes) -> RefreshToken | None:
        """Returns a refresh token; its session's tokens can't be spent by others until the transaction ends."""
        statement = (
            select(USER_SESSIONS, REFRESH_TOKENS.c.spend_time)
            .join_from(REFRESH_TOKENS, USER_SESSIONS)
            .where(REFRESH_TOKENS.c.hash == token_hash)
            .with_for_update()
        )
        row = (await self._connection.execute(statement)).first()
        return None if row is None else RefreshToken(_session(row), row.spend_time)

    async def spend_refresh_token(self, token_hash: bytes, now: datetime) -> None:
        """Notes that a refresh token was spent."""
        await self._connection.execute(
            update(REFRESH_TOKENS).where(REFRESH_TOKENS.c.hash == token_hash).values(spend_time=now)
        )


class AccountUnit:
    """One transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.users = Users(connection)
        self.sign_ins = SignIns(connection)
        self.request_ids = RequestIds(connection)


class AccountStore(Store[AccountUnit]):
    """Where accounts are kept."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, AccountUnit)


def _user(row: Row[Any]) -> User:
    return User(
        id=row.id,
        kind=read_enum(UserKind, row.kind),
        display_name=row.display_name,
        create_time=row.create_time,
        email=row.email or "",
        plan=read_enum(Plan, row.plan),
        time_zone=row.time_zone,
    )


def _session(row: Row[Any]) -> SignIn:
    return SignIn(
        id=row.id,
        user_id=row.user_id,
        user_agent=row.user_agent,
        create_time=row.create_time,
        last_use_time=row.last_use_time,
        expire_time=row.expire_time,
        revoke_time=row.revoke_time,
    )
