"""The table of meetings.

What belongs to a meeting is keyed by its number, which is the shard key beyond one database.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from control_plane.platform.postgres.metadata import ID, METADATA, TIME

# A deleted meeting's row stays without its content, so that the number is never used again.
MEETINGS = Table(
    "meetings",
    METADATA,
    Column("number", Text, primary_key=True),
    Column("host_id", ID, ForeignKey("users.id"), index=True),  # null when it was deleted and its host is gone
    Column("type", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("passcode", Text, nullable=False),
    Column("scheduled_start_time", TIME),
    Column("scheduled_seconds", Integer, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("settings", JSONB, nullable=False),
    Column("create_time", TIME, nullable=False),
    Column("update_time", TIME, nullable=False),
    Column("start_time", TIME),
    Column("end_time", TIME),
    Column("delete_time", TIME),
    Column("purge_time", TIME),  # when who was in it was forgotten
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
