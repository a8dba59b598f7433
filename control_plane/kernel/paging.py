"""Places in lists that are read page by page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from control_plane.kernel.errors import DomainError, invalid_argument


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a list that is sorted by creation, newest first: the last row that was seen."""

    create_time: datetime
    id: str


def page_token_invalid() -> DomainError:
    """The page token is none of this list's."""
    return invalid_argument("page_token", "is not one of this list's", reason="PAGE_TOKEN_INVALID")
