"""What of sign-ins is forgotten when they are over."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Delete, exists, select

from control_plane.accounts.model import SESSION_LIFETIME
from control_plane.accounts.tables import REFRESH_TOKENS, USER_SESSIONS
from control_plane.platform.postgres.cleaning import by_statement, some

SESSION_MEMORY: Final = timedelta(days=30)
"""Sign-ins that are over are kept for so long, so that a stolen refresh token is still known as one."""


def _spent_tokens(now: datetime, limit: int) -> Delete:
    # An unspent one of the same age would be good no more: who shows this one gains nothing and need not be noticed.
    return some(REFRESH_TOKENS, REFRESH_TOKENS.c.spend_time <= now - SESSION_LIFETIME, limit)


def _over(now: datetime) -> ColumnElement[bool]:
    return USER_SESSIONS.c.expire_time <= now - SESSION_MEMORY


def _tokens_of_old_sessions(now: datetime, limit: int) -> Delete:
    # Before their sessions: one session that went with its tokens could be thousands of rows.
    old = select(USER_SESSIONS.c.id).where(_over(now))
    return some(REFRESH_TOKENS, REFRESH_TOKENS.c.session_id.in_(old), limit)


def _old_sessions(now: datetime, limit: int) -> Delete:
    has_tokens = exists().where(REFRESH_TOKENS.c.session_id == USER_SESSIONS.c.id)
    return some(USER_SESSIONS, _over(now) & ~has_tokens, limit)


RULES: Final = (
    by_statement("spent refresh tokens", _spent_tokens),
    by_statement("refresh tokens of old sessions", _tokens_of_old_sessions),
    by_statement("sessions", _old_sessions),
)
