"""Takes what the engine tells in batches, brings the rooms up to date and passes it on: as node events and as spans."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

import structlog
from opentelemetry import trace

from media_plane._engine import (
    DominantSpeakerChanged,
    EncodingsWanted,
    Event,
    FirstMedia,
    SessionStateChanged,
    ShardFailed,
    SlotSourceChanged,
    TrackActivityChanged,
    TransportActivityChanged,
)
from media_plane.node.announcer import Announcer
from media_plane.node.converters import srtp_profile
from media_plane.node.engine_port import EnginePort
from media_plane.node.faults import outliving
from media_plane.node.rooms import NeededEncodings, Room, Rooms, Session, SlotState
from media_plane.node.slot_director import SlotDirector
from media_plane.node.slot_policy import TrackKey
from parley.sfu.v1 import media_pb2

log = structlog.get_logger(__name__)

RoomEvent = (
    SessionStateChanged
    | FirstMedia
    | DominantSpeakerChanged
    | TrackActivityChanged
    | TransportActivityChanged
    | EncodingsWanted
)
"""What happens in a room, besides what its slots carry."""

_BATCH: Final = 1024
_LOOP: Final = "engine events"
_JOIN_NANOSECONDS: Final = 30_000_000_000
"""First media later than this after a join belongs to the meeting's life and no longer to the join's trace."""


class _Carried:
    """Slots of a room that carry something else since the last batch: one change of speakers concerns everybody's."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.time_unix_nano = 0
        self._slots: dict[str, tuple[Session, dict[str, SlotState]]] = {}

    def note(self, session: Session, slot: SlotState, time_unix_nano: int) -> None:
        """Note a slot."""
        self._slots.setdefault(session.session_id, (session, {}))[1][slot.mid] = slot
        self.time_unix_nano = time_unix_nano

    def slots(self) -> list[tuple[Session, Iterable[SlotState]]]:
        """The slots of each session that is still open."""
        return [
            (session, slots.values())
            for session, slots in self._slots.values()
            if self.room.sessions.get(session.participant_id) is session
        ]


class EngineEvents:
    """Reads the engine's events from the event loop."""

    def __init__(self, *, engine: EnginePort, rooms: Rooms, director: SlotDirector, announcer: Announcer) -> None:
        self._engine = engine
        self._rooms = rooms
        self._director = director
        self._announcer = announcer
        self._tracer = trace.get_tracer("parley.node")
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Read from now on, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._engine.fileno(), self._drain)

    def stop(self) -> None:
        """Read no more."""
        if self._loop is not None:
            self._loop.remove_reader(self._engine.fileno())

    def _drain(self) -> None:
        self.handle(self._engine.drain_events(_BATCH))

    def handle(self, events: list[Event]) -> None:
        """Take a batch of events; each room's slots are told of and directed once for all of them."""
        changed: dict[str, Room] = {}
        carried: dict[str, _Carried] = {}
        for event in events:
            # The others of the batch must not be lost with it.
            with outliving(_LOOP, event_type=type(event).__name__):
                self._take_one(event, changed, carried)
        for some in carried.values():
            with outliving(_LOOP, room=some.room.name):
                self._announcer.slots(some.room, some.slots(), some.time_unix_nano)
        for room in changed.values():
            with outliving(_LOOP, room=room.name):
                self._director.direct(room)

    def _take_one(self, event: Event, changed: dict[str, Room], carried: dict[str, _Carried]) -> None:
        if isinstance(event, ShardFailed):
            self._take_shard_failure(event)
            return
        room = self._rooms.find(event.room_id)
        if room is None:
            return
        if isinstance(event, SlotSourceChanged):
            self._take_slot_source(carried.setdefault(room.room_id, _Carried(room)), event)
        elif self._take(room, event):
            changed[room.room_id] = room

    def _take_shard_failure(self, event: ShardFailed) -> None:
        """Close what was on the shard: the watchers place the rooms anew, and their sessions open others."""
        log.error(
            "shard.failed",
            shard=event.shard,
            cause=event.cause,
            activity=event.activity,
            rooms=len(event.room_ids),
            sessions=event.session_count,
        )
        for room_id in event.room_ids:
            room = self._rooms.close(room_id)
            if room is not None:
                self._announcer.room_closed(room, media_pb2.ROOM_CLOSE_REASON_SHARD_FAILED)

    def _take(self, room: Room, event: RoomEvent) -> bool:
        """Take an event; return whether the room's slots must be looked at."""
        if isinstance(event, DominantSpeakerChanged):
            return self._take_speaker(room, event)
        found = self._rooms.session_by_id(event.session_id)
        if found is None:  # closed meanwhile
            return False
        session = found[1]
        if isinstance(event, SessionStateChanged):
            return self._take_state(room, session, event)
        if isinstance(event, TrackActivityChanged):
            return _take_activity(session, event)
        if isinstance(event, TransportActivityChanged):
            self._take_silence(room, session, event)
        elif isinstance(event, FirstMedia):
            self._take_first_media(room, session, event)
        else:
            self._take_encodings(room, session, event)
        return False

    def _take_speaker(self, room: Room, event: DominantSpeakerChanged) -> bool:
        found = self._rooms.session_by_id(event.session_id) if event.session_id else None
        room.note_speaker(found[1].participant_id if found else None)
        self._announcer.speaker(room, event.time_unix_nano)
        return True

    def _take_state(self, room: Room, session: Session, event: SessionStateChanged) -> bool:
        if event.state == "connecting":
            return False
        if event.state == "connected":
            session.is_connected = True
            self._span(
                "engine.connect",
                session,
                event.time_unix_nano,
                {"parley.srtp_profile": srtp_profile(event.srtp_profile)},
            )
        else:
            if not session.is_connected:
                self._span("engine.connect", session, event.time_unix_nano, {"error.type": event.reason or ""})
            self._rooms.remove_session(room, session)
            log.info("session.closed", room=room.name, session_id=session.session_id, reason=event.reason)
        closed = event.state == "closed"
        self._announcer.media_state(room, session, event.time_unix_nano, closed=closed)
        return closed

    def _take_silence(self, room: Room, session: Session, event: TransportActivityChanged) -> None:
        session.silent_since_unix_nano = event.silent_since_unix_nano
        self._announcer.media_state(room, session, event.time_unix_nano)

    def _take_slot_source(self, carried: _Carried, event: SlotSourceChanged) -> None:
        found = self._rooms.session_by_id(event.session_id)
        slot = found[1].slots.get(event.mid) if found is not None else None
        if found is None or slot is None:  # closed meanwhile
            return
        source = self._rooms.session_by_id(event.source_session_id) if event.source_session_id else None
        mid = event.source_mid
        slot.carried = TrackKey(source[1].participant_id, mid) if source is not None and mid is not None else None
        carried.note(found[1], slot, event.time_unix_nano)

    def _take_encodings(self, room: Room, session: Session, event: EncodingsWanted) -> None:
        if event.mid not in session.tracks:  # ended meanwhile
            return
        session.encodings[event.mid] = NeededEncodings(tuple(event.rids), event.codec)
        self._announcer.encodings(room, session, event.mid, event.time_unix_nano)

    def _take_first_media(self, room: Room, session: Session, event: FirstMedia) -> None:
        outgoing = event.direction == "out"
        self._announcer.first_media(room, session, event.mid, outgoing=outgoing, time_unix_nano=event.time_unix_nano)
        if event.time_unix_nano - session.opened_unix_nano < _JOIN_NANOSECONDS:
            attributes = {"parley.mid": event.mid, "parley.direction": event.direction}
            self._span("engine.first_media", session, event.time_unix_nano, attributes)

    def _span(self, name: str, session: Session, end_unix_nano: int, attributes: dict[str, str]) -> None:
        """Record a span from the opening of the session to an event, in the trace of the call that opened it."""
        span = self._tracer.start_span(
            name,
            context=session.context,
            start_time=session.opened_unix_nano,
            attributes={"parley.session_id": session.session_id, **attributes},
        )
        if "error.type" in attributes:
            span.set_status(trace.StatusCode.ERROR, attributes["error.type"])
        span.end(end_unix_nano)


def _take_activity(session: Session, event: TrackActivityChanged) -> bool:
    track = session.tracks.get(event.mid)
    if track is None or track.is_active == event.active:
        return False
    was_absent, track.is_active = track.is_active is False, event.active
    return track.kind == "video" and (was_absent or not event.active)
