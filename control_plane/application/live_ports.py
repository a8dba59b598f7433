"""What being in a meeting needs from outside: live state with its event log, and other parts of the control plane."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from control_plane.application.media_ports import MediaStateEvent, NodePosition, SessionKey
from control_plane.application.ports import SignedToken
from control_plane.domain.event import Event, LeaveReason, SlotAssignment, TrackEncodings
from control_plane.domain.media import IceServer
from control_plane.domain.meeting import Meeting
from control_plane.domain.participant import Participant, ParticipantRole, Track

# ---------------------------------------------------------------- live state


@dataclass(frozen=True, slots=True)
class LiveView:
    """A meeting's live state at one moment.

    Attributes:
        meeting_id: The meeting's number.
        meeting: Its own fields; None when nothing is known of it here.
        participants: Everyone in it, by join time.
        slots: What the slots of the asking participant carry.
        encodings: Which encodings of the asking participant's tracks are needed; of a track that is not named all are.
        dominant_speaker: Who speaks; empty: nobody.
        epoch: Fencing epoch that its participants know of; 0: none yet.
        ended: Whether it is over.
        empty_since: Since when nobody is in it; None when somebody is, or nobody ever was.
        cursor: Where the log goes on after this moment.
        operation: Result of the operation that was asked about; None: it was not done.
        unreadable: How many are in it whom this version can't read; they are not among the participants.
    """

    meeting_id: str
    meeting: Meeting | None
    participants: tuple[Participant, ...]
    slots: tuple[SlotAssignment, ...]
    encodings: tuple[TrackEncodings, ...]
    dominant_speaker: str
    epoch: int
    ended: bool
    empty_since: datetime | None
    cursor: str
    operation: str | None = None
    unreadable: int = 0

    @property
    def occupied(self) -> bool:
        """Whether anybody is in it."""
        return bool(self.participants) or self.unreadable > 0

    def participant(self, participant_id: str) -> Participant | None:
        """Returns somebody who is in the meeting."""
        return next((one for one in self.participants if one.id == participant_id), None)


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


class LiveMeetings(Protocol):
    """Live state and event log of meetings: every change is one step, with the events that tell of it.

    All methods raise STORE_UNAVAILABLE when the store does not answer in time.
    """

    async def view(
        self, meeting_id: str, participant_id: str = "", *, operation: str = "", brief: bool = False
    ) -> LiveView:
        """Returns the live state, with the slots of one participant and the result of an operation.

        Briefly, all other participants are left out.
        """
        ...

    async def participant(self, meeting_id: str, participant_id: str) -> Participant:
        """Returns somebody who is in the meeting.

        Raises:
            DomainError: PARTICIPANT_NOT_FOUND.
        """
        ...

    async def counts(self, meeting_ids: Sequence[str]) -> Mapping[str, int]:
        """Returns how many people are in each meeting."""
        ...

    async def reserve(
        self,
        meeting_id: str,
        participant_id: str,
        session_id: str,
        limit: int,
        *,
        subject: str = "",
        is_host: bool = False,
    ) -> None:
        """Keeps a place for somebody about to join, for a short time.

        Args:
            meeting_id: The meeting.
            participant_id: Who they will be in it.
            session_id: Their session.
            limit: Most participants; the host finds a place even then.
            subject: Who calls: nobody is in a meeting more than a few times. Empty: not known.
            is_host: Whether it is the host.

        Raises:
            DomainError: MEETING_FULL, JOINED_TOO_OFTEN, MEETING_ENDED.
        """
        ...

    async def withdraw(self, meeting_id: str, participant_id: str, session_id: str) -> None:
        """Gives a kept place back."""
        ...

    async def join(self, joining: Joining) -> None:
        """Puts somebody in the place that was kept, and tells everyone.

        Raises:
            DomainError: MEETING_FULL, JOINED_TOO_OFTEN, MEETING_ENDED.
        """
        ...

    async def change(
        self,
        meeting_id: str,
        participant_id: str,
        change: Callable[[Participant], Participant],
        *,
        media: MediaStateEvent | None = None,
        source: NodePosition | None = None,
        traceparent: str | None = None,
    ) -> Participant:
        """Changes a participant and tells everyone what they can see of it.

        Args:
            meeting_id: The meeting.
            participant_id: Who.
            change: Makes of the participant as they are what they are to be.
            media: What their node said of their media, if that is why: it decides how soon they are missed.
            source: Where the node said it.
            traceparent: What caused it.

        Raises:
            DomainError: PARTICIPANT_NOT_FOUND.
        """
        ...

    async def begin_session(self, meeting_id: str, participant_id: str, session_id: str) -> None:
        """A new session of a participant is about to be opened: what its node tells of it counts from now.

        Raises:
            DomainError: PARTICIPANT_NOT_FOUND.
        """
        ...

    async def replace_session(self, meeting_id: str, renewal: Renewal) -> Participant:
        """A participant's new session is open: it is their only one now.

        They are told what its slots carry and which of its encodings are needed. Tracks of which something else was
        said while it was being opened are as was said.

        Returns:
            The participant as they are now.

        Raises:
            DomainError: PARTICIPANT_NOT_FOUND; REQUEST_ID_REUSED when a later session has replaced this one already.
            StaleJoinError: The room has moved meanwhile.
        """
        ...

    async def leave(
        self, meeting_id: str, participant_id: str, reason: LeaveReason, *, silent_since: datetime | None = None
    ) -> Participant | None:
        """Takes somebody out, and tells everyone.

        Args:
            meeting_id: The meeting.
            participant_id: Who.
            reason: Why.
            silent_since: Only if there was no sign of life after this.

        Returns:
            Who left; None when they were not in it (any more).
        """
        ...

    async def signalled(self, meeting_id: str, participant_id: str) -> bool:
        """Notes a sign of life.

        Returns:
            Whether nothing comes over the participant's media connection: they are missed sooner then.

        Raises:
            DomainError: PARTICIPANT_NOT_FOUND.
        """
        ...

    async def silent(self, meeting_id: str, now: datetime) -> tuple[Sequence[str], datetime | None]:
        """Returns who has given no sign of life in time, and when the next one's time ends."""
        ...

    async def react(self, meeting_id: str, participant_id: str, emoji: str, request_id: str) -> None:
        """Shows everyone an emoji.

        Raises:
            DomainError: PARTICIPANT_NOT_FOUND, RATE_LIMITED.
        """
        ...

    async def slots_changed(
        self,
        meeting_id: str,
        session: SessionKey,
        slots: Sequence[SlotAssignment],
        *,
        source: NodePosition | None = None,
        traceparent: str | None = None,
    ) -> None:
        """A node says what slots carry; its participant is told if the session is theirs."""
        ...

    async def room_slots_changed(
        self,
        meeting_id: str,
        changes: Sequence[tuple[SessionKey, Sequence[SlotAssignment]]],
        *,
        source: NodePosition | None = None,
    ) -> None:
        """A node says what slots of several sessions carry, in one step; sessions that are gone are passed over."""
        ...

    async def encodings_changed(
        self,
        meeting_id: str,
        session: SessionKey,
        tracks: Sequence[TrackEncodings],
        *,
        source: NodePosition | None = None,
        traceparent: str | None = None,
    ) -> None:
        """A node says which encodings of tracks are needed; their participant is told if the session is theirs."""
        ...

    async def dominant_speaker(
        self, meeting_id: str, participant_id: str, *, source: NodePosition | None = None
    ) -> None:
        """A node says who speaks."""
        ...

    async def owns(self, meeting_id: str, session: SessionKey) -> bool:
        """Whether a session is a participant's, or is about to be."""
        ...

    async def media_moved(self, meeting_id: str, epoch: int) -> None:
        """The room is served under this epoch now: everyone is told, once."""
        ...

    async def set_meeting(self, meeting: Meeting, *, operation: str, traceparent: str | None = None) -> None:
        """The meeting's own fields changed: those who are in it are told."""
        ...

    async def end(
        self, meeting_id: str, participant_id: str, *, operation: str, traceparent: str | None = None
    ) -> None:
        """The meeting is over: everyone is told, once, and is out."""
        ...

    async def begin_end(self, meeting_id: str) -> bool:
        """Lets nobody into an empty meeting for a short time, in which it is to be ended.

        Returns:
            False: somebody is in it, or about to come in.
        """
        ...

    async def vacate(self, meeting_id: str, epoch: int) -> bool:
        """Refuses joins to the placement of an empty meeting's room, which is to be released.

        Returns:
            False: somebody is in it, or about to come in.
        """
        ...

    async def tidy(self, meeting_id: str) -> None:
        """Forgets sessions that were begun for somebody who never came in."""
        ...

    async def may_open_stream(self, meeting_id: str, participant_id: str) -> bool:
        """Whether a participant may open a stream now: not while their streams have replaced each other too often."""
        ...

    async def stream_replaced(self, meeting_id: str, participant_id: str) -> None:
        """A stream of a participant ends, since they opened another."""
        ...

    async def open_stream(self, meeting_id: str, participant_id: str, stream_id: str) -> str:
        """A participant watches by this stream alone from now on; returns the position of the entry that says so.

        Raises:
            DomainError: PARTICIPANT_NOT_FOUND.
        """
        ...

    async def due(self, now: datetime, limit: int) -> Sequence[str]:
        """Returns meetings that have to be looked at now."""
        ...

    async def drop_event(self, meeting_id: str, position: str) -> None:
        """Takes an event out of a meeting's log; those who watch from there on never hear of it."""
        ...

    async def look_soon(self, meeting_id: str, *, now: bool = False) -> None:
        """Sees to it that a meeting is looked at when its first presence can have expired, or at once."""
        ...

    async def look_again(self, meeting_id: str, when: datetime | None) -> None:
        """Says when a meeting has to be looked at next; None: not any more."""
        ...


@dataclass(frozen=True, slots=True)
class Joining:
    """Somebody whose media session is open and who is to be in the meeting now.

    Attributes:
        meeting: The meeting as it is now.
        participant: Who they are.
        slots: What their slots carried when the session was opened.
        epoch: Fencing epoch of the room.
        operation: Id of the operation; a retry has the same.
        fingerprint: What the operation was about; kept as its result.
    """

    meeting: Meeting
    participant: Participant
    slots: tuple[SlotAssignment, ...]
    epoch: int
    operation: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Renewal:
    """A participant's new session that is open.

    Attributes:
        read: The participant as they were when it was asked for.
        begun_id: The session that was begun.
        session_id: The session it became: the same, or their present one where the offer only restarted its ICE.
        tracks: What the offer sends.
        slots: What its slots carried when it was opened.
        epoch: Fencing epoch under which it was opened.
        operation: Id of the operation; a retry has the same. Empty: it was carried out before.
    """

    read: Participant
    begun_id: str
    session_id: str
    tracks: tuple[Track, ...]
    slots: tuple[SlotAssignment, ...]
    epoch: int
    operation: str = ""


class Subscription(Protocol):
    """One watcher's view of a meeting's log."""

    async def next(self, timeout: float) -> Batch | SubscriptionEnd | None:  # noqa: ASYNC109 -- a checkpoint is due then
        """Returns the next entries, why there are no more, or None when none came in time (seconds)."""
        ...

    @property
    def cursor(self) -> str:
        """Where the log goes on after the last entry that was returned or passed over."""
        ...

    def close(self) -> None:
        """Ends it."""
        ...


class SubscriptionEnd(enum.Enum):
    """Why a subscription has no more entries."""

    TOO_SLOW = "too_slow"
    """The watcher did not keep up."""
    LOST = "lost"
    """The log was lost or cut in between: only a snapshot helps."""
    SHUTTING_DOWN = "shutting_down"
    """This process ends."""


class EventLog(Protocol):
    """Watching meetings' logs."""

    async def subscribe(
        self, meeting_id: str, participant_id: str, cursor: str, *, batches: bool = False
    ) -> Subscription | None:
        """Returns what happens after a cursor, what is private to others left out; several entries at a time if wanted.

        None: the log does not reach back so far, so a snapshot is needed.

        Raises:
            DomainError: CURSOR_INVALID, STORE_UNAVAILABLE.
        """
        ...


# ---------------------------------------------------------------- other parts of the control plane


class MeetingDirectory(Protocol):
    """Meetings as they were planned."""

    async def find(self, meeting_id: str) -> Meeting | None:
        """Returns a meeting.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        ...

    async def start(self, meeting_id: str) -> Meeting:
        """Makes a meeting ACTIVE, since its host came.

        Raises:
            DomainError: MEETING_ENDED, STORE_UNAVAILABLE.
        """
        ...

    async def end_empty(self, meeting_id: str) -> None:
        """Ends a meeting that has been empty for too long.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        ...

    async def check_passcode(self, meeting: Meeting, passcode: str, address: str) -> None:
        """Compares a passcode, and counts wrong ones.

        Raises:
            DomainError: PASSCODE_WRONG, PASSCODE_ATTEMPTS_EXCEEDED.
        """
        ...


class IceServers(Protocol):
    """Servers that help a client to reach its media node."""

    def servers(self, participant_id: str) -> tuple[IceServer, ...]:
        """Returns the servers with credentials of a participant; empty: there are none."""
        ...


class ParticipantTokens(Protocol):
    """Making participant tokens."""

    def issue(self, meeting_id: str, participant_id: str, role: ParticipantRole) -> SignedToken:
        """Returns a new token."""
        ...


@dataclass(frozen=True, slots=True)
class Stay:
    """Somebody's time in a meeting, for the history in the database; `leave_time` is None while they are in it."""

    meeting_id: str
    participant: Participant
    leave_time: datetime | None = None
    reason: LeaveReason | None = None


class StayRepository(Protocol):
    """The history of who was in which meeting."""

    async def record(self, stays: Sequence[Stay]) -> None:
        """Writes stays; writing one twice, or its end before its beginning, comes to the same.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        ...


class StayOutbox(Protocol):
    """Stays that have happened and are not in the database yet."""

    async def read(self, meeting_id: str, after: str, limit: int) -> Sequence[tuple[str, Stay | None]]:
        """Returns the oldest after a position, with their positions; None: it can't be read, and was set aside."""
        ...

    async def remove(self, meeting_id: str, positions: Sequence[str]) -> None:
        """Forgets those that are in the database."""
        ...


class Observer(Protocol):
    """Measures and traces."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Measures a stage of a join: `authorize`, `meeting`, `place`, `open_session`, `commit`."""
        ...

    def joined(self, outcome: str, seconds: float) -> None:
        """A join ended: `ok` or the reason of its failure."""
        ...

    def counted(self, name: str, amount: float = 1) -> None:
        """Something happened: `participants_left_expired`, `media_moved`, ..."""
        ...

    def task_healthy(self, name: str, *, healthy: bool) -> None:
        """Whether a supervised task's last turn ended without a fault."""
        ...

    def task_failed(self, name: str, fault: str) -> None:
        """A turn of a supervised task failed by a fault, named by its type."""
        ...

    def set_aside(self, kind: str) -> None:
        """A record was met that can't be read or applied."""
        ...


@dataclass(frozen=True, slots=True)
class SignalingTimes:
    """The periods of being in a meeting, in seconds.

    Attributes:
        presence: Without a call for so long somebody is taken to have left.
        silent: The same, and nothing over their media connection either. They are out 15 s after the last sign, since
            half a second passes between two looks.
        heartbeat: How often clients send one.
        silent_heartbeat: The same while nothing comes over their media connection.
        checkpoint: A stream says at least so often that it lives.
        linger: A room that nobody is in is released after this.
        end_empty: An instant meeting that nobody is in ends after this.
        node_wait: How long a join tries to get an answer of a node.
    """

    presence: float = 60.0
    silent: float = 14.0
    heartbeat: float = 10.0
    silent_heartbeat: float = 4.0
    checkpoint: float = 15.0
    linger: float = 60.0
    end_empty: float = 900.0
    node_wait: float = field(default=4.0)
