"""Tables that belong to no capability."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Identity, Integer, LargeBinary, Table, Text, text

from control_plane.platform.postgres.metadata import ID, METADATA, TIME

REQUEST_IDS = Table(
    "request_ids",
    METADATA,
    Column("caller", Text, primary_key=True),
    Column("request_id", ID, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("result", Text, nullable=False),
    Column("expire_time", TIME, nullable=False, index=True),
)

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("meeting_number", Text, nullable=False),
    Column("participant_id", Text, nullable=False),
    Column("traceparent", Text, nullable=False),
    Column("create_time", TIME, nullable=False, server_default=text("now()")),
    # An entry that could not be relayed is tried again at its time; meanwhile it holds nothing up.
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("retry_time", TIME),
    Column("problem", Text, nullable=False, server_default=text("''")),
)
