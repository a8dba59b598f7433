"""A meeting, and its life: a pure state machine. `SCHEDULED -> ACTIVE -> ENDED`; an ended meeting never comes back."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from control_plane.kernel.errors import DomainError
from control_plane.meetings.errors import meeting_ended, meeting_state_conflict

DEFAULT_DURATION = timedelta(hours=1)
DEFAULT_MAX_PARTICIPANTS = 100


class MeetingType(enum.Enum):
    """How a meeting is planned."""

    INSTANT = "instant"
    SCHEDULED = "scheduled"
    RECURRING = "recurring"
    WEBINAR = "webinar"
    PERSONAL = "personal"
    UNKNOWN = "unknown"
    """One of a newer version."""


class MeetingState(enum.Enum):
    """Where a meeting is in its life."""

    SCHEDULED = "scheduled"
    ACTIVE = "active"
    ENDED = "ended"
    UNKNOWN = "unknown"
    """One of a newer version; such a meeting can only be ended by this one."""


class MeetingEvent(enum.Enum):
    """What can happen to a meeting as a whole."""

    START = "start"
    """Its host starts it, or somebody joins."""
    END = "end"
    """Its host ends it."""
    DELETE = "delete"
    """Its host takes it away."""


@dataclass(frozen=True, slots=True)
class MeetingSettings:
    """How people meet in a meeting.

    Attributes:
        mute_on_entry: Participants begin muted.
        join_before_host: People may join before the host.
        guests_allowed: People without an account may join.
        max_participants: Most participants at a time.
        waiting_room: Participants wait until a host lets them in.
        preferred_region: Region in which the room is placed; empty: where the first participant is.
        others: What a newer version wrote (`records`).
    """

    mute_on_entry: bool = False
    join_before_host: bool = True
    guests_allowed: bool = True
    max_participants: int = DEFAULT_MAX_PARTICIPANTS
    waiting_room: bool = False
    preferred_region: str = ""
    others: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Meeting:
    """What was planned, and the state it is in.

    Attributes:
        number: The 11 digits, unique for ever.
        host_id: UUID of the user who hosts it.
        host_display_name: Name of the host as others see it.
        passcode: What guests must give.
        type: How it is planned.
        state: Where it is in its life.
        topic: What it is about; empty: the host's meeting.
        scheduled_start_time: When it is planned to begin; None for instant meetings.
        scheduled_duration: How long it is planned to last.
        time_zone: IANA time zone in which it was planned; empty: the host's.
        settings: How people meet in it.
        create_time: When it was created.
        update_time: When any field last changed.
        start_time: When it became active.
        end_time: When it ended.
        revision: Grows by one with every change; the contract's etag is made of it.
        others: What a newer version wrote (`records`).
    """

    number: str
    host_id: str
    host_display_name: str
    passcode: str
    type: MeetingType
    state: MeetingState
    create_time: datetime
    update_time: datetime
    topic: str = ""
    scheduled_start_time: datetime | None = None
    scheduled_duration: timedelta = DEFAULT_DURATION
    time_zone: str = ""
    settings: MeetingSettings = field(default_factory=MeetingSettings)
    start_time: datetime | None = None
    end_time: datetime | None = None
    revision: int = 1
    others: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """Resource name."""
        return f"meetings/{self.number}"

    @property
    def etag(self) -> str:
        """Changes with every change."""
        return str(self.revision)

    def join_uri(self, public_url: str) -> str:
        """Link that leads a browser into the meeting.

        A dot at the end of the passcode is spelt `%2E`: programs that find links in text take it for the end of a
        sentence.
        """
        passcode = f"{self.passcode[:-1]}%2E" if self.passcode.endswith(".") else self.passcode
        return f"{public_url}/j/{self.number}#{passcode}"


_TRANSITIONS = {
    (MeetingState.SCHEDULED, MeetingEvent.START): MeetingState.ACTIVE,
    (MeetingState.ACTIVE, MeetingEvent.START): MeetingState.ACTIVE,
    (MeetingState.SCHEDULED, MeetingEvent.END): MeetingState.ENDED,
    (MeetingState.ACTIVE, MeetingEvent.END): MeetingState.ENDED,
    (MeetingState.ENDED, MeetingEvent.END): MeetingState.ENDED,
    (MeetingState.UNKNOWN, MeetingEvent.END): MeetingState.ENDED,
    (MeetingState.SCHEDULED, MeetingEvent.DELETE): MeetingState.SCHEDULED,
    (MeetingState.ENDED, MeetingEvent.DELETE): MeetingState.ENDED,
}


def advance(meeting: Meeting, event: MeetingEvent, now: datetime) -> Meeting:
    """What a meeting is after an event.

    Args:
        meeting: The meeting before.
        event: What happens.
        now: When it happens.

    Returns:
        The meeting after; the same object when nothing changes.

    Raises:
        DomainError: MEETING_ENDED when it is over, MEETING_STATE_CONFLICT when the event can't happen in its state.
    """
    target = _TRANSITIONS.get((meeting.state, event))
    if target is None:
        raise _refusal(meeting, event)
    if target is meeting.state:
        return meeting
    if target is MeetingState.ACTIVE:
        return _changed(replace(meeting, state=target, start_time=now), now)
    return _changed(replace(meeting, state=target, end_time=now), now)


def changed(meeting: Meeting, now: datetime, **changes: object) -> Meeting:
    """A meeting with other values, the next revision and the time of the change.

    Args:
        meeting: The meeting before.
        now: When it changes.
        changes: New values by attribute.

    Returns:
        The meeting after.

    Raises:
        DomainError: MEETING_ENDED.
    """
    if meeting.state is MeetingState.ENDED:
        raise meeting_ended()
    return _changed(replace(meeting, **changes), now)  # type: ignore[arg-type]


def _changed(meeting: Meeting, now: datetime) -> Meeting:
    return replace(meeting, update_time=now, revision=meeting.revision + 1)


def _refusal(meeting: Meeting, event: MeetingEvent) -> DomainError:
    if meeting.state is MeetingState.ENDED:
        return meeting_ended()
    return meeting_state_conflict(meeting.state.name, event.name)
