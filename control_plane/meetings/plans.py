"""What hosts plan and change, and what is shown of a meeting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from control_plane.meetings.model import DEFAULT_DURATION, Meeting, MeetingSettings, MeetingType


@dataclass(frozen=True, slots=True)
class MeetingPlan:
    """What a host plans.

    Attributes:
        type: How it is planned.
        topic: What it is about.
        passcode: What guests must give; empty: one is made.
        scheduled_start_time: When it is planned to begin.
        scheduled_duration: How long it is planned to last.
        time_zone: IANA time zone in which it was planned; empty: the host's.
        settings: How people meet in it.
        request_id: Protects a retry; empty: nothing does.
    """

    type: MeetingType = MeetingType.INSTANT
    topic: str = ""
    passcode: str = ""
    scheduled_start_time: datetime | None = None
    scheduled_duration: timedelta = DEFAULT_DURATION
    time_zone: str = ""
    settings: MeetingSettings = field(default_factory=MeetingSettings)
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class MeetingChange:
    """What a host changes.

    Attributes:
        number: The meeting.
        values: New values by attribute of `Meeting`.
        settings: New values by attribute of `MeetingSettings`.
        etag: The etag that was read; empty: the last writer wins.
        request_id: Protects a retry; empty: nothing does.
    """

    number: str
    values: Mapping[str, object]
    settings: Mapping[str, object]
    etag: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class MeetingView:
    """A meeting as its host sees it."""

    meeting: Meeting
    participant_count: int
    join_uri: str


@dataclass(frozen=True, slots=True)
class MeetingSummary:
    """A meeting as somebody sees it who is about to join."""

    meeting: Meeting
    participant_count: int
    caller_is_host: bool
