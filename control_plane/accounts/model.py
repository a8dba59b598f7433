"""People who can host meetings, and their sign-ins."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta

SESSION_LIFETIME = timedelta(days=30)
REFRESH_GRACE = timedelta(seconds=10)
"""A client that lost an answer may spend its refresh token again for so long."""
USER_AGENT_LENGTH = 200


class UserKind(enum.Enum):
    """How a user came to be."""

    ACCOUNT = "account"
    GUEST = "guest"
    UNKNOWN = "unknown"
    """One of a newer version; it may do what a guest may."""


class Plan(enum.Enum):
    """What an account may use."""

    FREE = "free"
    PRO = "pro"
    BUSINESS = "business"
    ENTERPRISE = "enterprise"
    UNKNOWN = "unknown"
    """One of a newer version."""


@dataclass(frozen=True, slots=True)
class User:
    """A person who can host meetings.

    Attributes:
        id: UUID.
        kind: An account or a guest.
        display_name: What others see; guests give theirs when they join.
        create_time: When the user was created.
        email: Lower-cased; empty for a guest.
        plan: What the account may use.
        time_zone: IANA time zone; empty: UTC.
    """

    id: str
    kind: UserKind
    display_name: str
    create_time: datetime
    email: str = ""
    plan: Plan = Plan.FREE
    time_zone: str = ""

    @property
    def name(self) -> str:
        """Resource name."""
        return f"users/{self.id}"


@dataclass(frozen=True, slots=True)
class SignIn:
    """A sign-in on one device.

    Attributes:
        id: UUID.
        user_id: Whose it is.
        user_agent: The program that signed in, cut to `USER_AGENT_LENGTH` characters.
        create_time: When the user signed in.
        last_use_time: When it was last refreshed.
        expire_time: When it ends unless it is refreshed before.
        revoke_time: When it was revoked; None: it was not.
    """

    id: str
    user_id: str
    user_agent: str
    create_time: datetime
    last_use_time: datetime
    expire_time: datetime
    revoke_time: datetime | None = None

    @property
    def name(self) -> str:
        """Resource name."""
        return f"users/{self.user_id}/sessions/{self.id}"


class Spending(enum.Enum):
    """What it means that a refresh token is spent."""

    FIRST = "first"
    RETRY = "retry"
    REUSE = "reuse"


def judge_spending(spend_time: datetime | None, now: datetime) -> Spending:
    """Tells a first use of a refresh token from a retry and from a theft.

    Args:
        spend_time: When the token was spent before; None: never.
        now: When it is spent.

    Returns:
        `FIRST`, `RETRY` within the grace, `REUSE` after it: then somebody else has the token, and the session must end.
    """
    if spend_time is None:
        return Spending.FIRST
    return Spending.RETRY if now - spend_time <= REFRESH_GRACE else Spending.REUSE


def normalise_email(text: str) -> str:
    """Returns an e-mail address as it is compared and kept: without surrounding space, in lower case."""
    return text.strip().lower()
