"""What readers of a log get."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from control_plane.log.event import Event


@dataclass(frozen=True, slots=True)
class Entry:
    """An event in a meeting's log.

    Attributes:
        position: Its stream id.
        event: What happened; None for what this version does not know or can't read.
        recipient: Whom it is for; empty: everyone.
        time: When it happened.
        traceparent: What caused it.
    """

    position: str
    event: Event | None
    recipient: str
    time: datetime
    traceparent: str


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Entries that come to a watcher together; all watchers share it, so that it is encoded once.

    Attributes:
        entries: In the order of the log; one at least.
        cursor: Where the log goes on after the last of them.
    """

    entries: tuple[Entry, ...]
    cursor: str


class SubscriptionEnd(enum.Enum):
    """Why a subscription has no more entries."""

    TOO_SLOW = "too_slow"
    """The watcher did not keep up."""
    LOST = "lost"
    """The log was lost or cut in between: only a snapshot helps."""
    SHUTTING_DOWN = "shutting_down"
    """This process ends."""
