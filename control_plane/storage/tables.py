"""The tables. What belongs to a meeting is keyed by its number, which is the shard key beyond one database."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_TIME = DateTime(timezone=True)
_ID = Uuid(as_uuid=False)

USERS = Table(
    "users",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("email", Text, unique=True),  # null for guests
    Column("password_hash", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("create_time", _TIME, nullable=False),
    CheckConstraint("kind <> 'account' OR email IS NOT NULL", "account_email"),
    Index("ix_users_guests", "create_time", postgresql_where=text("kind = 'guest'")),
)

USER_SESSIONS = Table(
    "user_sessions",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("user_id", _ID, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("last_use_time", _TIME, nullable=False),
    Column("expire_time", _TIME, nullable=False, index=True),
    Column("revoke_time", _TIME),
    Index(None, "user_id", "create_time", "id"),
)

# Spent tokens stay for as long as an unspent one is good: a second spending must be noticed as late as it can come.
REFRESH_TOKENS = Table(
    "refresh_tokens",
    METADATA,
    Column("hash", LargeBinary, primary_key=True),
    Column("session_id", _ID, ForeignKey("user_sessions.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("create_time", _TIME, nullable=False),
    Column("spend_time", _TIME, index=True),
)

# A deleted meeting's row stays without its content, so that the number is never used again.
MEETINGS = Table(
    "meetings",
    METADATA,
    Column("number", Text, primary_key=True),
    Column("host_id", _ID, ForeignKey("users.id"), index=True),  # null when it was deleted and its host is gone
    Column("type", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("passcode", Text, nullable=False),
    Column("scheduled_start_time", _TIME),
    Column("scheduled_seconds", Integer, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("settings", JSONB, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    Column("start_time", _TIME),
    Column("end_time", _TIME),
    Column("delete_time", _TIME),
    Column("purge_time", _TIME),  # when who was in it was forgotten
    Column("revision", Integer, nullable=False),
    CheckConstraint("number ~ '^[1-9][0-9]{10}$'", "number"),
    CheckConstraint("host_id IS NOT NULL OR delete_time IS NOT NULL", "host"),
    Index(
        "ix_meetings_to_purge",
        "delete_time",
        postgresql_where=text("delete_time IS NOT NULL AND purge_time IS NULL"),
    ),
    Index(None, "host_id", "create_time", "number", postgresql_where=text("delete_time IS NULL")),
)

MEETING_PARTICIPANTS = Table(
    "meeting_participants",
    METADATA,
    Column("meeting_number", Text, ForeignKey("meetings.number"), primary_key=True),
    Column("participant_id", _ID, primary_key=True),
    Column("user_id", _ID, index=True),  # null for guests of the meeting
    Column("display_name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("join_time", _TIME, nullable=False),
    Column("leave_time", _TIME),
    Column("leave_reason", Text),
)

REQUEST_IDS = Table(
    "request_ids",
    METADATA,
    Column("caller", Text, primary_key=True),
    Column("request_id", _ID, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("result", Text, nullable=False),
    Column("expire_time", _TIME, nullable=False, index=True),
)

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("meeting_number", Text, nullable=False),
    Column("participant_id", Text, nullable=False),
    Column("traceparent", Text, nullable=False),
    Column("create_time", _TIME, nullable=False, server_default=text("now()")),
    # An entry that could not be relayed is tried again at its time; meanwhile it holds nothing up.
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("retry_time", _TIME),
    Column("problem", Text, nullable=False, server_default=text("''")),
)
