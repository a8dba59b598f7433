"""What identity and meetings need from outside: the store, tokens, passwords, limits, and who is in a meeting now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from control_plane.application.callers import Caller
from control_plane.application.quarantine import SetAside
from control_plane.domain.meeting import Meeting, MeetingState
from control_plane.domain.participant import ParticipantRole
from control_plane.domain.user import User, UserSession

# ---------------------------------------------------------------- the store: one transaction, and what it can reach


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a list that is sorted by creation, newest first: the last row that was seen."""

    create_time: datetime
    id: str


class Users(Protocol):
    """Users and their passwords."""

    async def add(self, user: User, password_hash: str) -> None:
        """Adds a user; an empty hash for guests.

        Raises:
            DomainError: EMAIL_TAKEN.
        """
        ...

    async def get(self, user_id: str) -> User | None:
        """Returns a user."""
        ...

    async def by_email(self, email: str) -> tuple[User, str] | None:
        """Returns the account of a normalised address with its password hash."""
        ...

    async def set_password_hash(self, user_id: str, password_hash: str) -> None:
        """Replaces a password's hash, since the way of hashing has become stronger."""
        ...


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token as it is kept: by its hash.

    Attributes:
        session: The session it renews.
        spend_time: When it was spent; None: not yet.
    """

    session: UserSession
    spend_time: datetime | None


class Sessions(Protocol):
    """Users' sessions and their refresh tokens."""

    async def add(self, session: UserSession) -> None:
        """Adds a session."""
        ...

    async def get(self, session_id: str) -> UserSession | None:
        """Returns a session."""
        ...

    async def list(self, user_id: str, after: Position | None, limit: int, now: datetime) -> Sequence[UserSession]:
        """Returns a user's sessions that are neither revoked nor expired, newest first."""
        ...

    async def revoke(self, session_id: str, now: datetime) -> None:
        """Ends a session."""
        ...

    async def renew(self, session_id: str, now: datetime, expire_time: datetime) -> None:
        """Notes a use of a session."""
        ...

    async def add_refresh_token(self, session_id: str, token_hash: bytes, now: datetime) -> None:
        """Adds a refresh token that has not been spent."""
        ...

    async def lock_refresh_token(self, token_hash: bytes) -> RefreshToken | None:
        """Returns a refresh token and keeps others from spending it until the transaction ends."""
        ...

    async def spend_refresh_token(self, token_hash: bytes, now: datetime) -> None:
        """Notes that a refresh token was spent."""
        ...


class Meetings(Protocol):
    """Meetings as they were planned. Deleted ones are not found, and their numbers are never used again."""

    async def add(self, meeting: Meeting) -> bool:
        """Adds a meeting; False: its number is taken."""
        ...

    async def get(self, number: str, *, lock: bool = False) -> Meeting | None:
        """Returns a meeting; with `lock` nobody else changes it until the transaction ends."""
        ...

    async def list(
        self, host_id: str, state: MeetingState | None, after: Position | None, limit: int
    ) -> Sequence[Meeting]:
        """Returns a host's meetings, newest first."""
        ...

    async def save(self, meeting: Meeting) -> None:
        """Writes a meeting that was changed under lock."""
        ...

    async def delete(self, number: str, now: datetime) -> None:
        """Takes a meeting away and forgets what was planned; the number stays taken."""
        ...


class RequestIds(Protocol):
    """What was done for a `request_id`, kept for a day."""

    async def claim(self, caller: str, request_id: str, fingerprint: bytes, now: datetime) -> str | None:
        """Takes a request id for this transaction. Of two at a time the second one waits for the first one's end.

        Args:
            caller: Whose request id it is.
            request_id: The id.
            fingerprint: What the request asks for.
            now: The time.

        Returns:
            None when the request is new; else what `keep` kept for it.

        Raises:
            DomainError: REQUEST_ID_REUSED, the fingerprint is another.
        """
        ...

    async def keep(self, caller: str, request_id: str, result: str) -> None:
        """Keeps what was made for a claimed request id."""
        ...


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A change of a meeting that must reach the live state too.

    Attributes:
        id: Grows; an entry that is relayed twice has the same.
        kind: `meeting_updated`, or `meeting_ended`.
        meeting_id: The meeting's number.
        participant_id: Who ended it, when it was a participant; else empty.
        traceparent: What caused it.
    """

    id: int
    kind: str
    meeting_id: str
    participant_id: str = ""
    traceparent: str = ""


MEETING_UPDATED = "meeting_updated"
MEETING_ENDED = "meeting_ended"


class Outbox(Protocol):
    """Entries that commit with the change they tell of."""

    async def add(self, kind: str, meeting_id: str, *, participant_id: str = "") -> None:
        """Adds an entry to this transaction."""
        ...


class UnitOfWork(Protocol):
    """One transaction: all of it happens, or nothing."""

    @property
    def users(self) -> Users:
        """Users."""
        ...

    @property
    def sessions(self) -> Sessions:
        """Sessions."""
        ...

    @property
    def meetings(self) -> Meetings:
        """Meetings."""
        ...

    @property
    def request_ids(self) -> RequestIds:
        """Request ids."""
        ...

    @property
    def outbox(self) -> Outbox:
        """The outbox."""
        ...


class Store(Protocol):
    """Where what must last is kept."""

    def begin(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Begins a transaction, which commits when its block ends well and is rolled back when it raises.

        Raises:
            DomainError: STORE_UNAVAILABLE, within a few seconds.
        """
        ...

    def read(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Gives access without a transaction, for reads: each statement stands alone and costs one round trip.

        Raises:
            DomainError: STORE_UNAVAILABLE, within a few seconds.
        """
        ...


class OutboxReader(Protocol):
    """The other end of the outbox."""

    async def relay(self, handle: Callable[[OutboxEntry], Awaitable[None]], limit: int = 100) -> int:
        """Hands over the oldest entries, and forgets each that was handled. Another process never has the same ones.

        Args:
            handle: Takes an entry. When it raises a DomainError, this and all later entries stay for another time; when
                it raises anything else, this one alone does, and is tried again ever later.
            limit: How many at most.

        Returns:
            How many were handled.

        Raises:
            DomainError: STORE_UNAVAILABLE; or the one that `handle` raised.
        """
        ...

    async def set_aside(self, limit: int) -> Sequence[SetAside]:
        """Returns the oldest entries that could not be handled.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        ...

    async def retry(self, key: str) -> bool:
        """Has an entry handled again at once, by its id; False: it is not there.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        ...

    async def drop(self, key: str) -> bool:
        """Takes an entry away for good, by its id; False: it is not there.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        ...


# ---------------------------------------------------------------- tokens, passwords, limits


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A signed token.

    Attributes:
        text: The token.
        expire_time: When it expires.
        lifetime: For how long it is good from when it was made.
    """

    text: str
    expire_time: datetime
    lifetime: timedelta = timedelta()


class Tokens(Protocol):
    """Making and verifying signed tokens."""

    def access(self, caller: Caller) -> SignedToken:
        """Returns an access token of an ACCOUNT, GUEST or MEETING_GUEST."""
        ...

    def issue(self, meeting_id: str, participant_id: str, role: ParticipantRole) -> SignedToken:
        """Returns a participant token."""
        ...

    def verify(self, token: str) -> Caller:
        """Returns who a token says is calling.

        Raises:
            DomainError: TOKEN_INVALID, TOKEN_EXPIRED.
        """
        ...

    def fingerprint(self, *parts: str) -> bytes:
        """Returns a keyed hash of texts, so that what is kept of a request tells nothing of it."""
        ...


class Passwords(Protocol):
    """Hashing and checking passwords, slow on purpose."""

    async def hash(self, password: str) -> str:
        """Returns the hash to keep.

        Raises:
            DomainError: RATE_LIMITED, too many are being hashed.
        """
        ...

    async def verify(self, password_hash: str, password: str) -> bool:
        """Whether it is the password. An empty hash takes the same time and is never right.

        Raises:
            DomainError: RATE_LIMITED, too many are being hashed.
        """
        ...

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash should be made anew."""
        ...


@dataclass(frozen=True, slots=True)
class Limit:
    """How many attempts somebody has.

    Attributes:
        attempts: So many at once.
        seconds: All of them are back after so many seconds, one after the other.
    """

    attempts: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that was counted.

    Attributes:
        allowed: Whether it is within the limit.
        left: How many more there are.
        retry_after: Seconds until there is another.
    """

    allowed: bool
    left: int
    retry_after: float


@dataclass(frozen=True, slots=True)
class Guesser:
    """Where a guess comes from.

    Attributes:
        name: What is remembered of it is kept under this name.
        limits: Its own limits by name: its address, the network around it.
    """

    name: str
    limits: Mapping[str, Limit]


@dataclass(frozen=True, slots=True)
class SecretLimits:
    """How many wrong guesses of one secret are answered, wherever they come from.

    Whoever has given the right answer lately is not held up by them.

    Attributes:
        first: For those who have not failed lately.
        again: For those who have.
        memory_seconds: How long "lately" is.
        tell_after: The secret's owner is told after so many.
        tell_seconds: But not more often than this.
    """

    first: Limit
    again: Limit
    memory_seconds: int
    tell_after: int
    tell_seconds: int


@dataclass(frozen=True, slots=True)
class Guess:
    """A guess that was judged.

    Attributes:
        answered: Whether the guesser may learn if it was right.
        left: How many more wrong ones the guesser's own limits have.
        retry_after: Seconds until another is answered.
        failures: So many wrong ones came, of which the secret's owner is to be told now; 0: nothing new.
    """

    answered: bool
    left: int
    retry_after: float
    failures: int


class Attempts(Protocol):
    """Counting attempts, over all replicas. All methods raise STORE_UNAVAILABLE when the store does not answer."""

    async def count(self, key: str, limit: Limit) -> Attempt:
        """Counts an attempt, whatever comes of it: for what costs the same when it succeeds."""
        ...

    def attempt(self, limits: Mapping[str, Limit]) -> AbstractAsyncContextManager[None]:
        """Keeps an attempt's place under limits while it is made, for what takes long to be known as right or wrong.

        It is counted if the block raises an UNAUTHENTICATED error. While more are made at once than may fail, others
        wait for their turn.

        Raises:
            DomainError: RATE_LIMITED.
        """
        ...

    async def guess(self, secret: str, guesser: Guesser, limits: SecretLimits, *, right: bool | None) -> Guess:
        """Judges a guess that was compared already. A right one is never counted, nor is an empty one (None)."""
        ...

    async def remember(self, key: str, seconds: int) -> None:
        """Remembers something for a while."""
        ...

    async def remembers(self, key: str) -> bool:
        """Whether something is remembered."""
        ...


class HostNotices(Protocol):
    """Telling hosts who are in their meeting."""

    async def passcode_guessed(self, meeting_id: str, failures: int) -> None:
        """Somebody seems to be searching for the passcode.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        ...


# ---------------------------------------------------------------- who is in a meeting


class Presence(Protocol):
    """Who is in meetings now; the live state implements it."""

    async def counts(self, meeting_ids: Sequence[str]) -> Mapping[str, int]:
        """Returns how many people are in each meeting.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        ...


@dataclass(frozen=True, slots=True)
class Rules:
    """What a deployment allows.

    Attributes:
        sign_up: People may make accounts by themselves.
        guest_hosts: Guests may create instant meetings.
        public_url: Beginning of join links, without a slash at the end.
        passcode_limit: Wrong passcodes from one address (IPv6: /64) for one meeting.
        passcode_network_limit: The same for an IPv6 /48.
        passcode_search: Wrong passcodes for one meeting from all addresses together.
        sign_in_limit: Wrong passwords for one e-mail address; apart for each place that has signed in rightly before.
        sign_in_address_limit: Wrong passwords from one network address.
        sign_up_limit: New accounts from one network address, which a whole office may share.
        guest_limit: New guest users from one network address.
    """

    sign_up: bool = True
    guest_hosts: bool = True
    public_url: str = "http://localhost:8080"
    passcode_limit: Limit = field(default=Limit(10, 900))
    passcode_network_limit: Limit = field(default=Limit(40, 900))
    passcode_search: SecretLimits = field(
        default=SecretLimits(
            # 6 digits stand up to both for a day with odds of 1 in 100 (docs/security.md).
            first=Limit(1_000, 4 * 3600),
            again=Limit(100, 2 * 3600),
            memory_seconds=24 * 3600,
            tell_after=50,
            tell_seconds=600,
        )
    )
    sign_in_limit: Limit = field(default=Limit(10, 900))
    sign_in_address_limit: Limit = field(default=Limit(300, 900))
    sign_up_limit: Limit = field(default=Limit(300, 900))
    guest_limit: Limit = field(default=Limit(600, 60))
