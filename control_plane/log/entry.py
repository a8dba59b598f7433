"""Entries of a meeting's log: an event as its serialised message, and beside it what is no client's business."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from control_plane.kernel.records import UnreadableRecordError
from parley.signaling.v1 import event_pb2

Fields = Mapping[bytes, bytes]

_EVENT: Final = b"e"
_RECIPIENT: Final = b"r"
_TRACEPARENT: Final = b"p"
_STREAM: Final = b"s"
_FORMER: Final = b"k"
"""A field that entries had, with JSON beside it, before they held the contract's messages."""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """An entry of a meeting's log.

    Attributes:
        position: Its stream id.
        recipient: Whom it is for; empty: everyone.
        event: What happened, a serialised `parley.signaling.v1.Event`, which goes to clients as it is, whatever this
            version knows of it; empty: nothing that clients are told of.
        message: The same as far as this version knows it.
        traceparent: What caused it.
        stream_id: The recipient watches by this stream from here on; empty: it is no such entry.
    """

    position: str
    recipient: str = ""
    event: bytes = b""
    message: event_pb2.Event | None = None
    traceparent: str = ""
    stream_id: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Entries that come to a watcher together; all watchers share it, so that it is put together once.

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


class FormerEntryError(Exception):
    """An entry is of the form of former versions. Who is before it needs a snapshot."""


def read_entry(position: str, fields: Fields) -> Entry:
    """Returns an entry as the log keeps it.

    Raises:
        FormerEntryError: It is of a form of before.
        UnreadableRecordError: It is of no form that this version reads.
    """
    if _FORMER in fields:
        raise FormerEntryError(position)
    recipient, trace = _text(fields, _RECIPIENT), _text(fields, _TRACEPARENT)
    if _STREAM in fields:
        return Entry(position, recipient, stream_id=_text(fields, _STREAM))
    event = fields.get(_EVENT)
    if event is None:
        raise UnreadableRecordError("Entry: neither an event nor a stream")
    try:
        message = event_pb2.Event.FromString(event)
    except DecodeError as error:
        raise UnreadableRecordError("Event: no such message") from error
    return Entry(position, recipient, event, message, trace)


def recipient_of(fields: Fields) -> str:
    """Returns whom an entry is for that can't be read; empty: everyone, or it does not say."""
    return fields.get(_RECIPIENT, b"").decode(errors="replace")


def _text(fields: Fields, name: bytes) -> str:
    try:
        return fields.get(name, b"").decode()
    except UnicodeDecodeError as error:
        raise UnreadableRecordError(f"Entry: {name!r} is no text") from error
