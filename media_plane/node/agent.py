"""Carries out the control plane's commands: checks the epoch, changes the rooms, tells the engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

import structlog
from opentelemetry import context as otel_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from media_plane._engine import EngineError, LocalTransport
from media_plane.node.announcer import Announcer
from media_plane.node.closings import Closings
from media_plane.node.engine_port import EnginePort, session_parameters
from media_plane.node.errors import (
    MidUnknownError,
    NodeDrainingError,
    NodeFullError,
    RoomNotFoundError,
    SessionNotFoundError,
    ShardUnavailableError,
)
from media_plane.node.rooms import Room, Rooms, Session, SlotChoice, SlotState, Track, apply_choices
from media_plane.node.sdp import Agreement, Offer, SdpNotAcceptableError, agree, read_offer, write_answer
from media_plane.node.sdp.answer import NodeTransport
from media_plane.node.slot_director import SlotDirector
from media_plane.node.slot_policy import TrackKey
from parley.sfu.v1 import media_pb2

log = structlog.get_logger(__name__)

_PROPAGATOR: Final = TraceContextTextMapPropagator()


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session to be opened.

    Attributes:
        participant_id: Whose.
        session_id: Its id.
        sdp_offer: The client's offer.
        tracks: What its sending m-lines carry; each must be named.
        choices: What video slots show at first; the others are automatic.
    """

    participant_id: str
    session_id: str
    sdp_offer: str
    tracks: Sequence[Track]
    choices: Sequence[SlotChoice]


class Agent:
    """The node as the control plane sees it."""

    def __init__(
        self,
        *,
        engine: EnginePort,
        rooms: Rooms,
        director: SlotDirector,
        announcer: Announcer,
        addresses: Callable[[], Sequence[str]],
        now_unix_nano: Callable[[], int] = time.time_ns,
    ) -> None:
        """Build an agent.

        Args:
            engine: What forwards.
            rooms: Who is on the node.
            director: Fills slots.
            announcer: Tells the watchers.
            addresses: Says at which IP addresses clients reach the engine's ports now, the best first.
            now_unix_nano: The clock.
        """
        self._engine = engine
        self._closings = Closings(engine)
        self._rooms = rooms
        self._director = director
        self._announcer = announcer
        self._addresses = addresses
        self.now_unix_nano = now_unix_nano
        self.is_draining = False

    def open_room(self, room_id: str, epoch: int) -> Room:
        """Open a room, or take over its newer epoch.

        Raises:
            EpochStaleError: The node has seen a newer epoch.
            NodeDrainingError: The room is not open and the node takes no new ones.
            ShardUnavailableError: No shard serves.
        """
        self._rooms.check_epoch(room_id, epoch)
        room = self._rooms.find(room_id)
        if room is not None:
            return room
        if self.is_draining:
            raise NodeDrainingError
        self._closings.retry()
        with _engine_refusals():
            self._engine.open_room(room_id)
        return self._rooms.open(room_id, epoch)

    def close_room(self, room_id: str, epoch: int) -> None:
        """Close a room and its sessions.

        Raises:
            EpochStaleError: The node has seen a newer epoch.
        """
        self._rooms.check_epoch(room_id, epoch)
        self._closings.retry()
        self._close_room(room_id)

    def fence_room(self, room_id: str, epoch: int) -> None:
        """Refuse commands older than `epoch` for a room and close it, unless it is already served under a newer one."""
        self._rooms.remember_epoch(room_id, epoch)
        room = self._rooms.find(room_id)
        if room is not None and room.epoch <= epoch:
            self._close_room(room_id)
            self._announcer.room_closed(room, media_pb2.ROOM_CLOSE_REASON_FENCED)

    def drain(self) -> None:
        """Take no new rooms."""
        self.is_draining = True

    def close_all_rooms(self) -> None:
        """Close what is left at the end of a drain."""
        for room in self._rooms:
            self._close_room(room.room_id)
            self._announcer.room_closed(room, media_pb2.ROOM_CLOSE_REASON_DRAINED)

    def open_session(self, room_id: str, epoch: int, command: OpenSession) -> Session:
        """Open a session; the same `session_id` again gives the same session.

        Raises:
            EpochStaleError: The node has seen a newer epoch.
            SdpError: The offer can't be used.
            MidUnknownError: A track or a choice names an m-line that is not there.
            NodeFullError: No place.
            NodeDrainingError: The room is not open and the node takes no new ones.
            ShardUnavailableError: No shard serves.
        """
        self._rooms.check_epoch(room_id, epoch)
        found = self._rooms.session_by_id(command.session_id)
        if found is not None:
            return found[1]
        offer = read_offer(command.sdp_offer)
        kept = self._keep_session(room_id, epoch, command, offer)
        if kept is not None:
            return kept
        agreement = agree(offer, {track.mid: track.muted for track in command.tracks})
        tracks, slots = _tracks(agreement, command.tracks), _slots(agreement)
        _check_mids(command.choices, slots, "slots")
        apply_choices(slots, command.choices)
        room = self.open_room(room_id, epoch)
        with _engine_refusals():
            parameters = session_parameters(agreement, command.participant_id)
            transport = self._engine.open_session(room_id, command.session_id, parameters)
        session = self._new_session(command, agreement, transport, tracks, slots)
        self._replace(room, session)
        self._director.direct(room, newcomer=session)
        log.info("session.opened", room=room.name, participant_id=session.participant_id, session_id=session.session_id)
        return session

    def _keep_session(self, room_id: str, epoch: int, command: OpenSession, offer: Offer) -> Session | None:
        """Answer an offer that comes over a session's own connection; None: the offer is for a new session.

        Raises:
            SdpError: The session can't follow it.
        """
        room = self._rooms.find(room_id)
        session = room.sessions.get(command.participant_id) if room else None
        if room is None or session is None or command.session_id in session.followed:
            return session
        former = session.agreement.offer
        restarts = offer.restarts_ice_of(former)
        if not restarts and not offer.is_on_connection_of(former):
            return None
        if offer.transport.fingerprints != former.transport.fingerprints:
            message = "the certificate of a connection can't change: offer it on a new RTCPeerConnection"
            raise SdpNotAcceptableError(message)
        agreement = agree(offer, {track.mid: track.muted for track in command.tracks}, former=session.agreement)
        tracks, slots = _tracks(agreement, command.tracks), _slots(agreement)
        _check_mids(command.choices, slots, "slots")
        try:
            transport = self._follow(session, agreement, restarts=restarts)
        except SessionNotFoundError:  # it has just ended by itself
            log.info("session.ended_before_offer", session_id=session.session_id)
            return None
        ended = session.follow(agreement, tracks, slots)
        room.forget_requests({TrackKey(session.participant_id, mid) for mid in ended})
        for mid in ended & session.encodings.keys():
            self._announcer.encodings(room, session, mid)
        session.transport, session.answer = transport, write_answer(agreement, transport)
        apply_choices(session.slots, command.choices)
        self.update_tracks(room_id, epoch, command.participant_id, command.tracks)
        session.followed.append(command.session_id)
        event = "session.ice_restarted" if restarts else "session.kept"
        log.info(event, participant_id=session.participant_id, session_id=session.session_id)
        return session

    def _follow(self, session: Session, agreement: Agreement, *, restarts: bool) -> NodeTransport:
        """Bring the engine to what a later offer says; return the node's half of the transport from now on."""
        with _engine_refusals():
            if not agreement.has_same_media_as(session.agreement):
                parameters = session_parameters(agreement, session.participant_id)
                self._engine.change_media(session.session_id, parameters)
            if restarts:
                client = agreement.offer.transport
                transport = self._engine.restart_ice(session.session_id, client.ice_ufrag, client.ice_pwd)
                return self._transport(transport)
        return replace(session.transport, addresses=self._addresses())

    def close_session(self, room_id: str, epoch: int, participant_id: str, session_id: str = "") -> None:
        """Close a participant's session, or only the named one.

        Raises:
            EpochStaleError: The node has seen a newer epoch.
        """
        self._rooms.check_epoch(room_id, epoch)
        self._closings.retry()
        room = self._rooms.find(room_id)
        session = room.sessions.get(participant_id) if room else None
        if room is None or session is None or session_id not in {"", session.session_id}:
            return
        self._rooms.remove_session(room, session)
        self._close_in_engine(session)
        self._director.direct(room)

    def update_slots(self, room_id: str, epoch: int, participant_id: str, choices: Sequence[SlotChoice]) -> None:
        """Set what slots of a session show.

        Raises:
            EpochStaleError: The node has seen a newer epoch.
            RoomNotFoundError: The room is not open here.
            SessionNotFoundError: The participant has no session.
            MidUnknownError: The session has no such video slot.
        """
        room, session = self._find(room_id, epoch, participant_id)
        _check_mids(choices, session.slots, "slots")
        apply_choices(session.slots, choices)
        self._director.direct(room)

    def update_tracks(self, room_id: str, epoch: int, participant_id: str, tracks: Sequence[Track]) -> None:
        """Set state and source of a session's tracks.

        Raises:
            EpochStaleError: The node has seen a newer epoch.
            RoomNotFoundError: The room is not open here.
            SessionNotFoundError: The participant has no session.
            MidUnknownError: The session has no such track of that kind.
        """
        room, session = self._find(room_id, epoch, participant_id)
        for index, track in enumerate(tracks):
            known = session.tracks.get(track.mid)
            if known is None or known.kind != track.kind:
                raise MidUnknownError(field="tracks", index=index, what=f"{track.kind} track")
        for track in tracks:
            known = session.tracks[track.mid]
            if known.muted != track.muted:
                with _engine_refusals():
                    self._engine.set_track_muted(session.session_id, track.mid, track.muted)
                known.is_active = None
            known.muted, known.source = track.muted, track.source
        self._director.direct(room)

    def request_key_frame(self, room_id: str, epoch: int, key: TrackKey) -> None:
        """Ask a sender for a key frame.

        Raises:
            EpochStaleError: The node has seen a newer epoch.
            RoomNotFoundError: The room is not open here.
            SessionNotFoundError: The participant has no session.
            MidUnknownError: The session has no such video track.
        """
        _, session = self._find(room_id, epoch, key.participant_id)
        track = session.tracks.get(key.mid)
        if track is None or track.kind != "video":
            raise MidUnknownError(field="track", index=None, what="video track")
        with _engine_refusals():
            self._engine.request_key_frame(session.session_id, key.mid)

    def _find(self, room_id: str, epoch: int, participant_id: str) -> tuple[Room, Session]:
        self._rooms.check_epoch(room_id, epoch)
        room = self._rooms.get(room_id)
        return room, room.session(participant_id)

    def _new_session(
        self,
        command: OpenSession,
        agreement: Agreement,
        transport: LocalTransport,
        tracks: dict[str, Track],
        slots: dict[str, SlotState],
    ) -> Session:
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        return Session(
            participant_id=command.participant_id,
            session_id=command.session_id,
            tracks=tracks,
            slots=slots,
            agreement=agreement,
            transport=self._transport(transport),
            answer=write_answer(agreement, self._transport(transport)),
            opened_unix_nano=self.now_unix_nano(),
            context=otel_context.get_current(),
            traceparent=carrier.get("traceparent", ""),
        )

    def _transport(self, transport: LocalTransport) -> NodeTransport:
        return NodeTransport(
            ice_ufrag=transport.ice_ufrag,
            ice_pwd=transport.ice_pwd,
            fingerprint=self._engine.fingerprint,
            port=transport.port,
            tcp_port=transport.tcp_port,
            addresses=self._addresses(),
        )

    def _replace(self, room: Room, session: Session) -> None:
        """Take a session in and end the participant's older one."""
        older = room.sessions.get(session.participant_id)
        if older is not None:
            self._rooms.remove_session(room, older)
        self._rooms.add_session(room, session)
        if older is not None:
            self._close_in_engine(older, replaced=True)

    def retry_closings(self) -> None:
        """Close what the engine would not close before."""
        self._closings.retry()

    def _close_in_engine(self, session: Session, *, replaced: bool = False) -> None:
        self._closings.session(session.session_id, "replaced" if replaced else "requested")

    def _close_room(self, room_id: str) -> None:
        if self._rooms.close(room_id) is not None:
            self._closings.room(room_id)


def _tracks(agreement: Agreement, named: Sequence[Track]) -> dict[str, Track]:
    tracks: dict[str, Track] = {}
    for index, track in enumerate(named):
        agreed = agreement.tracks.get(track.mid)
        if agreed is None or agreed.media.kind != track.kind:
            raise MidUnknownError(field="tracks", index=index, what=f"{track.kind} m-line that sends")
        tracks[track.mid] = track
    return tracks


def _slots(agreement: Agreement) -> dict[str, SlotState]:
    return {
        mid: SlotState(mid=mid, kind=slot.media.kind, choice=SlotChoice(mid, "automatic"))
        for mid, slot in agreement.slots.items()
    }


def _check_mids(choices: Iterable[SlotChoice], slots: dict[str, SlotState], field: str) -> None:
    for index, choice in enumerate(choices):
        slot = slots.get(choice.mid)
        if slot is None or slot.kind != "video":
            raise MidUnknownError(field=field, index=index, what="video slot")


@contextmanager
def _engine_refusals() -> Iterator[None]:
    """Turn the engine's refusals into the node's."""
    try:
        yield
    except EngineError as error:
        if error.reason in {"too_many", "queue_full"}:
            raise NodeFullError from None
        if error.reason == "no_shard":
            raise ShardUnavailableError from None
        if error.reason == "stopped":
            raise NodeDrainingError from None
        if error.reason == "unknown_session":
            raise SessionNotFoundError from None
        if error.reason == "unknown_room":
            raise RoomNotFoundError from None
        if error.reason == "invalid":
            log.warning("engine.refused", detail=str(error))
            message = "the engine can't take this combination of m-lines, codecs and extensions"
            raise SdpNotAcceptableError(message) from None
        raise
