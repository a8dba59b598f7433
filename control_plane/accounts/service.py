"""Accounts, sign-ins and sessions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from control_plane.accounts.errors import (
    credentials_invalid,
    guests_not_allowed,
    session_not_found,
    session_revoked,
    sign_up_disabled,
    token_expired,
    token_invalid,
)
from control_plane.accounts.model import (
    SESSION_LIFETIME,
    USER_AGENT_LENGTH,
    SignIn,
    Spending,
    User,
    UserKind,
    judge_spending,
    normalise_email,
)
from control_plane.accounts.passwords import Passwords
from control_plane.accounts.rules import Rules
from control_plane.accounts.store import AccountStore, AccountUnit
from control_plane.accounts.tokens import SignedToken, Tokens
from control_plane.kernel.address import site
from control_plane.kernel.caller import Caller, CallerKind
from control_plane.kernel.clock import Clock
from control_plane.kernel.errors import DomainError, permission_denied, rate_limited
from control_plane.kernel.ids import IdFactory
from control_plane.kernel.paging import Position
from control_plane.kernel.text import check_shown
from control_plane.platform.limits import Limit
from control_plane.platform.redis.attempts import Attempts

_GUEST_NAME = "Guest"
_KNOWN_SECONDS = 30 * 24 * 3600
"""For how long a place counts as one where the account's owner signs in."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client keeps after a sign-in.

    Attributes:
        access: Access token.
        refresh_token: Buys the next credentials once; empty for guests of one meeting.
        session: The session; None for guests of one meeting.
    """

    access: SignedToken
    refresh_token: str = ""
    session: SignIn | None = None


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What somebody says who signs up."""

    email: str
    password: str
    display_name: str
    request_id: str = ""


class Identity:
    """The use cases of accounts and sessions."""

    def __init__(
        self,
        *,
        store: AccountStore,
        tokens: Tokens,
        passwords: Passwords,
        attempts: Attempts,
        clock: Clock,
        ids: IdFactory,
        rules: Rules,
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._passwords = passwords
        self._attempts = attempts
        self._clock = clock
        self._ids = ids
        self._rules = rules

    async def sign_up(self, account: NewAccount, user_agent: str, address: str) -> tuple[User, Credentials]:
        """Creates an account and signs it in; a retry with the same `request_id` signs in again.

        Raises:
            DomainError: EMAIL_TAKEN, SIGN_UP_DISABLED, REQUEST_ID_REUSED, RATE_LIMITED, INVALID_ARGUMENT.
        """
        if not self._rules.sign_up:
            raise sign_up_disabled()
        check_shown("display_name", account.display_name)
        await self._limit(f"sign-up:{site(address)}", self._rules.sign_up_limit)
        now, email = self._clock.now(), normalise_email(account.email)
        password_hash = await self._passwords.hash(account.password)
        user = User(self._ids.uuid(), UserKind.ACCOUNT, account.display_name, now, email=email)
        fingerprint = self._tokens.fingerprint(email, account.password, account.display_name)
        async with self._store.begin() as unit:
            if account.request_id:
                kept = await unit.request_ids.claim("sign-up", account.request_id, fingerprint, now)
                if kept is not None:
                    user = await _existing(unit, kept)
                    return user, await self._open_session(unit, user, user_agent, now)
                await unit.request_ids.keep("sign-up", account.request_id, user.id)
            await unit.users.add(user, password_hash)
            return user, await self._open_session(unit, user, user_agent, now)

    async def sign_in(self, email: str, password: str, user_agent: str, address: str) -> tuple[User, Credentials]:
        """Signs in with e-mail address and password. It takes as long whether the account exists or not.

        Raises:
            DomainError: CREDENTIALS_INVALID, RATE_LIMITED.
        """
        email, place = normalise_email(email), site(address)
        account = f"sign-in:{self._tokens.fingerprint(email).hex()}"
        known = f"{account}:{place}"
        # A stranger's failures keep nobody out of where they have signed in before.
        limits = {
            known if await self._attempts.remembers(known) else account: self._rules.sign_in_limit,
            f"sign-in:{place}": self._rules.sign_in_address_limit,
        }
        async with self._attempts.attempt(limits):
            user, password_hash = await self._authenticate(email, password)
        await self._attempts.remember(known, _KNOWN_SECONDS)
        new_hash = await self._passwords.hash(password) if self._passwords.is_outdated(password_hash) else ""
        async with self._store.begin() as unit:
            if new_hash:
                await unit.users.set_password_hash(user.id, new_hash)
            return user, await self._open_session(unit, user, user_agent, self._clock.now())

    async def _authenticate(self, email: str, password: str) -> tuple[User, str]:
        async with self._store.read() as unit:
            found = None if "\0" in email else await unit.users.by_email(email)
        user, password_hash = found or (None, "")
        if not await self._passwords.verify(password_hash, password) or user is None:
            raise credentials_invalid()
        return user, password_hash

    async def refresh(self, refresh_token: str) -> Credentials:
        """Exchanges a refresh token for new credentials.

        Spending one again revokes the session, except shortly after the first time: a client that lost the answer tries
        again, and gets other credentials of the same session.

        Raises:
            DomainError: TOKEN_INVALID, TOKEN_EXPIRED, SESSION_REVOKED.
        """
        now, token_hash = self._clock.now(), _hash(refresh_token)
        async with self._store.begin() as unit:
            token = await unit.sign_ins.lock_refresh_token(token_hash)
            if token is None:
                raise token_invalid()
            session = token.session
            if session.revoke_time is not None:
                raise session_revoked()
            if session.expire_time <= now:
                raise token_expired()
            spending = judge_spending(token.spend_time, now)
            if spending is Spending.REUSE:
                await unit.sign_ins.revoke(session.id, now)
            else:
                if spending is Spending.FIRST:
                    await unit.sign_ins.spend_refresh_token(token_hash, now)
                await unit.sign_ins.renew(session.id, now, now + SESSION_LIFETIME)
                user = await _existing(unit, session.user_id)
                return await self._credentials(unit, user, session, now)
        # Raised after the transaction: the revocation must stay.
        raise session_revoked()

    async def revoke(self, caller: Caller, user_id: str, session_id: str) -> None:
        """Ends one of the caller's sessions at once; ending an ended one changes nothing.

        Raises:
            DomainError: SESSION_NOT_FOUND, PERMISSION_DENIED.
        """
        if user_id != caller.user_id:
            raise permission_denied()
        async with self._store.begin() as unit:
            session = await unit.sign_ins.get(session_id)
            if session is None or session.user_id != caller.user_id:
                raise session_not_found()
            await unit.sign_ins.revoke(session_id, self._clock.now())

    async def find_sign_in(self, session_id: str) -> SignIn | None:
        """Returns a sign-in, over or not."""
        async with self._store.read() as unit:
            return await unit.sign_ins.get(session_id)

    async def list_sessions(self, caller: Caller, after: Position | None, limit: int) -> Sequence[SignIn]:
        """Returns the caller's sessions, newest first."""
        async with self._store.read() as unit:
            return await unit.sign_ins.list(caller.user_id, after, limit, self._clock.now())

    async def current_user(self, caller: Caller) -> User:
        """Returns the calling user."""
        async with self._store.read() as unit:
            return await _existing(unit, caller.user_id)

    async def find(self, user_id: str) -> User | None:
        """Returns a user."""
        async with self._store.read() as unit:
            return await unit.users.get(user_id)

    async def create_guest(self, user_agent: str, address: str) -> tuple[User, Credentials]:
        """Makes a guest user, who may create instant meetings.

        Raises:
            DomainError: GUESTS_NOT_ALLOWED, RATE_LIMITED.
        """
        if not self._rules.guest_hosts:
            raise guests_not_allowed()
        await self._limit(f"guest:{site(address)}", self._rules.guest_limit)
        now = self._clock.now()
        user = User(self._ids.uuid(), UserKind.GUEST, _GUEST_NAME, now)
        async with self._store.begin() as unit:
            await unit.users.add(user, "")
            return user, await self._open_session(unit, user, user_agent, now)

    def meeting_guest(self, meeting_id: str) -> Credentials:
        """Returns the credentials of somebody who was let into one meeting."""
        subject = f"guests/{self._ids.uuid()}"
        return Credentials(self._tokens.access(Caller(CallerKind.MEETING_GUEST, subject, meeting_id=meeting_id)))

    async def _open_session(self, unit: AccountUnit, user: User, user_agent: str, now: datetime) -> Credentials:
        session = SignIn(
            id=self._ids.uuid(),
            user_id=user.id,
            user_agent=user_agent[:USER_AGENT_LENGTH],
            create_time=now,
            last_use_time=now,
            expire_time=now + SESSION_LIFETIME,
        )
        await unit.sign_ins.add(session)
        return await self._credentials(unit, user, session, now)

    async def _credentials(self, unit: AccountUnit, user: User, session: SignIn, now: datetime) -> Credentials:
        refresh_token = self._ids.secret()
        await unit.sign_ins.add_refresh_token(session.id, _hash(refresh_token), now)
        kind = CallerKind.ACCOUNT if user.kind is UserKind.ACCOUNT else CallerKind.GUEST
        access = self._tokens.access(Caller(kind, user.name, user_id=user.id, session_id=session.id))
        return Credentials(access, refresh_token, session)

    async def _limit(self, key: str, limit: Limit) -> None:
        attempt = await self._attempts.count(key, limit)
        if not attempt.allowed:
            raise too_many(attempt.retry_after)


def too_many(retry_after: float) -> DomainError:
    """Too many attempts came from there."""
    return rate_limited("Too many attempts. Wait before you try again.", retry_after)


async def _existing(unit: AccountUnit, user_id: str) -> User:
    user = await unit.users.get(user_id)
    if user is None:
        raise session_revoked()
    return user


def _hash(refresh_token: str) -> bytes:
    # A plain hash is enough: the token is 256 random bits, so nobody guesses it.
    return hashlib.sha256(refresh_token.encode()).digest()
