"""What is set aside since it can't be read or applied."""

from __future__ import annotations

import enum
import traceback
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from control_plane.kernel.errors import DomainError, ErrorKind
from control_plane.kernel.records import UnreadableRecordError

KEEP: Final = timedelta(days=7)
"""A record that nobody has met for so long is forgotten here."""


class RecordKind(enum.Enum):
    """What a record is."""

    OUTBOX = "outbox"
    """An entry of the outbox; key: its id."""
    EVENT = "event"
    """An event of a meeting's log; key: meeting and position."""
    PARTICIPANT = "participant"
    """Somebody in a meeting; key: meeting and participant."""
    MEETING = "meeting"
    """A meeting in the live state; key: its number."""
    STAY = "stay"
    """A stay on its way to the database; key: meeting and position."""
    NODE_EVENT = "node_event"
    """Something that a media node said; key: the node."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """A record that was set aside.

    Attributes:
        kind: What it is.
        key: Which one; parts with `/` between them.
        problem: What is wrong with it; nothing of its content.
        first_time: When it was first met.
        last_time: When it was last met.
        count: How often.
    """

    kind: RecordKind
    key: str
    problem: str
    first_time: datetime
    last_time: datetime
    count: int = 1

    @property
    def id(self) -> str:
        """Names it among all."""
        return record_id(self.kind, self.key)


def record_id(kind: RecordKind, key: str) -> str:
    """Returns what names a record among all: letters, digits, `.`, `_`, `-` and `~`."""
    return f"{kind.value}~{key.replace('/', '~')}"


def parse_id(text: str) -> tuple[RecordKind, str]:
    """Returns kind and key of a record's id.

    Raises:
        DomainError: RECORD_NOT_FOUND.
    """
    kind, _, key = text.partition("~")
    try:
        return RecordKind(kind), key.replace("~", "/")
    except ValueError:
        raise record_not_found() from None


def record_not_found() -> DomainError:
    """There is no such record in quarantine."""
    return DomainError(ErrorKind.NOT_FOUND, "RECORD_NOT_FOUND", "No such record is in quarantine.")


def problem(error: BaseException) -> str:
    """Returns what is wrong, for operators: no content of the record, which may be personal."""
    if isinstance(error, UnreadableRecordError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"
