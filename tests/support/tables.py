"""All tables over one connection, as no capability reaches them."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.accounts.store import SignIns, Users
from control_plane.kernel.records import UnreadableRecordError
from control_plane.meetings.store import Meetings
from control_plane.platform.postgres.outbox import Outbox
from control_plane.platform.postgres.request_ids import RequestIds
from control_plane.platform.postgres.store import Store


class Tables:
    """One transaction over all of them; a meeting that can't be read fails the test."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.users = Users(connection)
        self.sign_ins = SignIns(connection)
        self.meetings = Meetings(connection, _unreadable)
        self.request_ids = RequestIds(connection)
        self.outbox = Outbox(connection)


AnyStore = Store[Tables]


def _unreadable(number: str, error: UnreadableRecordError) -> None:
    pytest.fail(f"{number}: {error}")
