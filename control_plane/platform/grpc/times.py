"""Times and durations as messages."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp


def timestamp(time: datetime) -> Timestamp:
    """Returns a time as a message."""
    message = Timestamp()
    message.FromDatetime(time)
    return message


def duration(seconds: float) -> Duration:
    """Returns seconds as a message."""
    message = Duration()
    message.FromMilliseconds(round(seconds * 1000))
    return message
