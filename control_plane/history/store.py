"""The history of who was in which meeting, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.dialects.postgresql import insert as upsert

from control_plane.history.model import Stay
from control_plane.history.tables import MEETING_PARTICIPANTS
from control_plane.platform.postgres.database import Database


class Stays:
    """Stays, each in a row that is written when it begins and when it ends."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, stays: Sequence[Stay]) -> None:
        """Writes stays; writing one twice, or its end before its beginning, comes to the same."""
        if not stays:
            return
        async with self._database.transaction() as connection:
            for stay in stays:
                await connection.execute(_write(stay))


def _write(stay: Stay) -> Insert:
    participant = stay.participant
    statement = upsert(MEETING_PARTICIPANTS).values(
        meeting_number=stay.meeting_id,
        participant_id=participant.id,
        user_id=participant.user_id or None,
        display_name=participant.display_name,
        role=participant.role.value,
        join_time=participant.join_time,
        leave_time=stay.leave_time,
        leave_reason=None if stay.reason is None else stay.reason.value,
    )
    kept, new = MEETING_PARTICIPANTS.c, statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["meeting_number", "participant_id"],
        set_={
            "join_time": func.least(kept.join_time, new.join_time),
            "leave_time": func.coalesce(kept.leave_time, new.leave_time),
            "leave_reason": func.coalesce(kept.leave_reason, new.leave_reason),
        },
    )
