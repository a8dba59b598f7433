"""Who was in a meeting is forgotten some time after the meeting was deleted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.history.tables import MEETING_PARTICIPANTS
from control_plane.meetings.tables import MEETINGS
from control_plane.platform.postgres.cleaning import Batch, Rule, some

HISTORY_MEMORY: Final = timedelta(days=30)
"""Who was in a meeting is known for so long after it was deleted."""
_MEETINGS_AT_ONCE: Final = 50


async def _forget_stays(connection: AsyncConnection, now: datetime, limit: int) -> Batch:
    columns = MEETINGS.c
    due = (columns.delete_time <= now - HISTORY_MEMORY) & columns.purge_time.is_(None)
    chosen = select(columns.number).where(due).limit(_MEETINGS_AT_ONCE).with_for_update(skip_locked=True)
    numbers: Sequence[str] = (await connection.execute(chosen)).scalars().all()
    if not numbers:
        return Batch(0, more=False)
    theirs = MEETING_PARTICIPANTS.c.meeting_number.in_(numbers)
    done = (await connection.execute(some(MEETING_PARTICIPANTS, theirs, limit))).rowcount
    if done < limit:
        await connection.execute(update(MEETINGS).where(columns.number.in_(numbers)).values(purge_time=now))
    return Batch(done, more=True)


RULES: Final = (Rule("stays", _forget_stays),)
