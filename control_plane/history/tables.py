"""The table of stays."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Table, Text

from control_plane.platform.postgres.metadata import ID, METADATA, TIME

MEETING_PARTICIPANTS = Table(
    "meeting_participants",
    METADATA,
    Column("meeting_number", Text, ForeignKey("meetings.number"), primary_key=True),
    Column("participant_id", ID, primary_key=True),
    Column("user_id", ID, index=True),  # null for guests of the meeting
    Column("display_name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("join_time", TIME, nullable=False),
    Column("leave_time", TIME),
    Column("leave_reason", Text),
)
