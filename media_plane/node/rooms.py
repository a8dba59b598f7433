"""Who is on the node: rooms with their epochs, sessions, tracks and slots. No engine and no wire here."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Literal

from opentelemetry.context import Context

from media_plane.node.errors import EpochStaleError, RoomNotFoundError, SessionNotFoundError
from media_plane.node.sdp.answer import NodeTransport
from media_plane.node.sdp.formats import MediaKind
from media_plane.node.sdp.negotiation import Agreement
from media_plane.node.slot_policy import Candidate, TrackKey, assign, rank

Selection = TrackKey | Literal["automatic", "empty"]

_REMEMBERED_EPOCHS: Final = 100_000
"""Rooms whose last epoch is remembered after they closed, so that a late command of an old placement is refused."""

_NO_SESSION: Final = ""

_REMEMBERED_OFFERS: Final = 32
"""A retry comes within seconds; nobody offers so often meanwhile."""


class TrackSource(IntEnum):
    """Where a track's media comes from; the numbers are those of `parley.meeting.v1.TrackSource`."""

    MICROPHONE = 1
    CAMERA = 2
    SCREEN = 3
    SCREEN_AUDIO = 4


@dataclass(slots=True)
class Track:
    """What a client sends on an m-line.

    Attributes:
        mid: The m-line's `a=mid`.
        kind: Audio or video.
        source: What is shown or heard.
        muted: Held back.
        is_active: Whether packets come; None: not known yet.
    """

    mid: str
    kind: MediaKind
    source: TrackSource
    muted: bool
    is_active: bool | None = None


@dataclass(frozen=True, slots=True)
class SlotChoice:
    """What a slot shall show, and how large."""

    mid: str
    selection: Selection
    max_height: int = 0
    priority: int = 0


@dataclass(slots=True)
class SlotState:
    """A slot of a session.

    Attributes:
        mid: The m-line's `a=mid`.
        kind: Audio or video; audio slots are the engine's alone.
        choice: What the client wants.
        requested: The track that the engine was told to show, the session that had it then, and the choice behind it.
        carried: The track that the engine says it carries.
        told: What the watchers were told last.
    """

    mid: str
    kind: MediaKind
    choice: SlotChoice
    requested: tuple[TrackKey, str, SlotChoice] | None = None
    carried: TrackKey | None = None
    told: TrackKey | None = None

    @property
    def shown(self) -> TrackKey | None:
        """What the slot carries, or is about to carry while it is empty."""
        return self.carried or (self.requested[0] if self.requested else None)


@dataclass(frozen=True, slots=True)
class NeededEncodings:
    """What is needed of a track.

    Attributes:
        rids: RTP stream ids that somebody needs; none: it has no simulcast.
        codec: Name of the codec that those who watch have in common; empty: the one that the answer names first.
    """

    rids: tuple[str, ...]
    codec: str


@dataclass(slots=True)
class Session:
    """A participant's media session.

    Attributes:
        participant_id: Whose.
        session_id: Its id in the engine too.
        tracks: What the client sends, by mid.
        slots: What it receives on, by mid.
        agreement: What the latest offer and its answer agreed on.
        transport: The node's half of the transport, as the answer says it.
        answer: The SDP answer, kept for retries.
        opened_unix_nano: When it was opened.
        context: Trace context of the call that opened it.
        traceparent: The same as W3C text; empty: none.
        is_connected: Whether media is connected.
        silent_since_unix_nano: Since when nothing comes from the client although it is; None: something does.
        encodings: What is needed of its tracks, by mid; of those that are not named all, in the codec they prefer.
        followed: Session ids of the latest offers that it has followed, for retries.
    """

    participant_id: str
    session_id: str
    tracks: dict[str, Track]
    slots: dict[str, SlotState]
    agreement: Agreement
    transport: NodeTransport
    answer: str
    opened_unix_nano: int
    context: Context
    traceparent: str
    is_connected: bool = False
    silent_since_unix_nano: int | None = None
    encodings: dict[str, NeededEncodings] = field(default_factory=dict)
    followed: deque[str] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_OFFERS))

    def video_slots(self) -> Iterator[SlotState]:
        """The slots that the node fills."""
        return (slot for slot in self.slots.values() if slot.kind == "video")

    def follow(self, agreement: Agreement, tracks: Mapping[str, Track], slots: Mapping[str, SlotState]) -> set[str]:
        """Take over what a later offer agreed on; return the mids of tracks that have not gone on.

        Tracks and slots that have gone on keep their state, the others are those given. Of a track that is another one
        now all encodings are needed at first.
        """
        before, self.agreement = self.agreement, agreement
        goes_on = {
            mid
            for mid, track in before.tracks.items()
            if mid in agreement.tracks and track.goes_on_as(agreement.tracks[mid])
        }
        kept = {mid for mid, slot in before.slots.items() if mid in slots and slot.ssrc == agreement.slots[mid].ssrc}
        self.tracks = {mid: self.tracks[mid] if mid in goes_on else track for mid, track in tracks.items()}
        self.slots = {mid: self.slots[mid] if mid in kept else slot for mid, slot in slots.items()}
        self.encodings = {
            mid: needed if mid in goes_on else NeededEncodings(agreement.tracks[mid].media.rids, "")
            for mid, needed in self.encodings.items()
            if mid in tracks
        }
        return before.tracks.keys() - goes_on


@dataclass(slots=True)
class Room:
    """A room.

    Attributes:
        room_id: Its id, without `rooms/`.
        epoch: Epoch of the placement it is served under.
        sessions: Its sessions by participant.
        speaker: Who speaks; None: nobody.
    """

    room_id: str
    epoch: int
    sessions: dict[str, Session] = field(default_factory=dict)
    speaker: str | None = None
    _arrivals: dict[str, int] = field(default_factory=dict)
    _turns: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Resource name."""
        return f"rooms/{self.room_id}"

    def session(self, participant_id: str) -> Session:
        """Return a participant's session.

        Raises:
            SessionNotFoundError: There is none.
        """
        try:
            return self.sessions[participant_id]
        except KeyError:
            raise SessionNotFoundError from None

    def add(self, session: Session) -> None:
        """Take a session in; a participant who comes back keeps their place."""
        self._arrivals.setdefault(session.participant_id, len(self._arrivals))
        self.sessions[session.participant_id] = session

    def note_speaker(self, participant_id: str | None) -> None:
        """Remember who speaks now."""
        self.speaker = participant_id
        if participant_id is not None:
            self._turns[participant_id] = 1 + max(self._turns.values(), default=0)

    def track(self, key: TrackKey) -> Track | None:
        """Return a track that is there now."""
        session = self.sessions.get(key.participant_id)
        return session.tracks.get(key.mid) if session else None

    def forget_requests(self, keys: Collection[TrackKey]) -> None:
        """What slots were told to show is not what it was: they are told again, if they are still to show it."""
        for slot in (slot for session in self.sessions.values() for slot in session.video_slots()):
            if slot.requested is not None and slot.requested[0] in keys:
                slot.requested = (slot.requested[0], _NO_SESSION, slot.requested[2])

    def ranking(self) -> list[TrackKey]:
        """The room's video tracks in the order in which they deserve an automatic slot."""
        return rank(self._candidates())

    def wanted(self, session: Session, ranking: list[TrackKey]) -> dict[str, TrackKey | None]:
        """Return what each video slot of a session shall show now."""
        result: dict[str, TrackKey | None] = {}
        automatic: dict[str, TrackKey | None] = {}
        for slot in session.video_slots():
            selection = slot.choice.selection
            if selection == "automatic":
                automatic[slot.mid] = slot.requested[0] if slot.requested else None
            else:
                result[slot.mid] = self._chosen(session, selection) if isinstance(selection, TrackKey) else None
        chosen = {key for key in result.values() if key is not None}
        return result | assign(
            ranking,
            receiver=session.participant_id,
            slots=list(automatic),
            current=automatic,
            shown_elsewhere=chosen,
        )

    def _chosen(self, session: Session, key: TrackKey) -> TrackKey | None:
        track = self.track(key)
        visible = track is not None and track.kind == "video" and not track.muted
        return key if visible and key.participant_id != session.participant_id else None

    def _candidates(self) -> Iterator[Candidate]:
        for participant_id, session in self.sessions.items():
            for track in session.tracks.values():
                is_screen = track.source is TrackSource.SCREEN
                # A still screen sends next to nothing, so silence tells nothing about it.
                absent = track.muted or (track.is_active is False and not is_screen)
                if track.kind == "video" and not absent:
                    yield Candidate(
                        key=TrackKey(participant_id, track.mid),
                        is_screen=is_screen,
                        last_spoke=self._turns.get(participant_id, 0),
                        joined=self._arrivals[participant_id],
                    )


class Rooms:
    """All rooms of the node, and the newest epoch seen of each."""

    def __init__(self) -> None:
        self._rooms: dict[str, Room] = {}
        self._by_session: dict[str, tuple[Room, Session]] = {}
        self._epochs: OrderedDict[str, int] = OrderedDict()

    def __iter__(self) -> Iterator[Room]:
        return iter(list(self._rooms.values()))

    def __len__(self) -> int:
        return len(self._rooms)

    @property
    def session_count(self) -> int:
        """Sessions in all rooms."""
        return len(self._by_session)

    def get(self, room_id: str) -> Room:
        """Return an open room.

        Raises:
            RoomNotFoundError: It is not open here.
        """
        try:
            return self._rooms[room_id]
        except KeyError:
            raise RoomNotFoundError from None

    def find(self, room_id: str) -> Room | None:
        """Return an open room, or None."""
        return self._rooms.get(room_id)

    def check_epoch(self, room_id: str, epoch: int) -> None:
        """Take over a newer epoch, refuse an older one.

        Raises:
            EpochStaleError: The node has seen a newer one.
        """
        if epoch < self._epochs.get(room_id, 0):
            raise EpochStaleError
        self.remember_epoch(room_id, epoch)
        room = self._rooms.get(room_id)
        if room is not None:
            room.epoch = epoch

    def remember_epoch(self, room_id: str, epoch: int) -> None:
        """Refuse older epochs from now on."""
        self._epochs[room_id] = max(epoch, self._epochs.get(room_id, 0))
        self._epochs.move_to_end(room_id)
        if len(self._epochs) > _REMEMBERED_EPOCHS + len(self._rooms):
            oldest = next(iter(self._epochs))
            if oldest in self._rooms:
                self._epochs.move_to_end(oldest)
            else:
                del self._epochs[oldest]

    def open(self, room_id: str, epoch: int) -> Room:
        """Add a room."""
        room = Room(room_id, epoch)
        self._rooms[room_id] = room
        return room

    def close(self, room_id: str) -> Room | None:
        """Take a room out with its sessions."""
        room = self._rooms.pop(room_id, None)
        for session in room.sessions.values() if room else ():
            self._by_session.pop(session.session_id, None)
        return room

    def session_by_id(self, session_id: str) -> tuple[Room, Session] | None:
        """Return a session and its room by the session's id."""
        return self._by_session.get(session_id)

    def add_session(self, room: Room, session: Session) -> None:
        """Take a session in; the participant's older one must be out."""
        room.add(session)
        self._by_session[session.session_id] = (room, session)

    def remove_session(self, room: Room, session: Session) -> None:
        """Take a session out."""
        self._by_session.pop(session.session_id, None)
        if room.sessions.get(session.participant_id) is session:
            del room.sessions[session.participant_id]


def apply_choices(slots: Mapping[str, SlotState], choices: Iterable[SlotChoice]) -> None:
    """Set what slots shall show; the mids must be known."""
    for choice in choices:
        slots[choice.mid].choice = choice
