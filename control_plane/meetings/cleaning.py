"""What guests have left behind is forgotten: their meetings, and then the guests."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Delete, Update, exists, func, select, update

from control_plane.accounts.model import UserKind
from control_plane.accounts.tables import USER_SESSIONS, USERS
from control_plane.meetings.tables import MEETINGS
from control_plane.platform.postgres.cleaning import by_statement, some

GUEST_MEMORY: Final = timedelta(days=30)
"""Meetings of guests are kept for so long after their last change, if their host can't come back."""


def _gone_guest() -> Any:  # noqa: ANN401 -- a subquery
    """Guests who can't come back: a guest has no other way in than their session."""
    has_session = exists().where(USER_SESSIONS.c.user_id == USERS.c.id)
    return select(USERS.c.id).where(USERS.c.kind == UserKind.GUEST.value, ~has_session)


def _meetings_of_guests(now: datetime, limit: int) -> Update:
    columns = MEETINGS.c
    over = (columns.state != "active") & (columns.update_time <= now - GUEST_MEMORY)
    chosen = (
        select(columns.number)
        .where(columns.host_id.in_(_gone_guest()), columns.delete_time.is_not(None) | over)
        .limit(limit)
        .with_for_update(skip_locked=True, of=MEETINGS)
    )
    return (
        update(MEETINGS)
        .where(columns.number.in_(chosen))
        .values(delete_time=func.coalesce(columns.delete_time, now), topic="", passcode="", settings={}, host_id=None)
    )


def _guests(now: datetime, limit: int) -> Delete:
    has_meeting = exists().where(MEETINGS.c.host_id == USERS.c.id)
    old = USERS.c.create_time <= now - GUEST_MEMORY
    return some(USERS, USERS.c.id.in_(_gone_guest()) & old & ~has_meeting, limit)


RULES: Final = (by_statement("meetings of guests", _meetings_of_guests), by_statement("guests", _guests))
