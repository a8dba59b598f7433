"""Tables of people who can host meetings."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, LargeBinary, Table, Text, text

from control_plane.platform.postgres.metadata import ID, METADATA, TIME

USERS = Table(
    "users",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("email", Text, unique=True),  # null for guests
    Column("password_hash", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("create_time", TIME, nullable=False),
    CheckConstraint("kind <> 'account' OR email IS NOT NULL", "account_email"),
    Index("ix_users_guests", "create_time", postgresql_where=text("kind = 'guest'")),
)

USER_SESSIONS = Table(
    "user_sessions",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("user_id", ID, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("create_time", TIME, nullable=False),
    Column("last_use_time", TIME, nullable=False),
    Column("expire_time", TIME, nullable=False, index=True),
    Column("revoke_time", TIME),
    Index(None, "user_id", "create_time", "id"),
)

# Spent tokens stay for as long as an unspent one is good: a second spending must be noticed as late as it can come.
REFRESH_TOKENS = Table(
    "refresh_tokens",
    METADATA,
    Column("hash", LargeBinary, primary_key=True),
    Column("session_id", ID, ForeignKey("user_sessions.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("create_time", TIME, nullable=False),
    Column("spend_time", TIME, index=True),
)
