"""What happens on media nodes becomes what happens in meetings: once, by one replica a node."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import structlog

from control_plane.log.errors import ParticipantNotFoundError
from control_plane.log.participant import (
    MediaStateEvent,
    Participant,
    ParticipantEvent,
    ParticipantState,
    SessionKey,
    advance,
)
from control_plane.log.position import NodePosition, StatePosition
from control_plane.log.state import LiveState
from control_plane.log.view import LiveView
from control_plane.media.errors import MidUnknownError
from control_plane.media.live import LiveSessions
from control_plane.nodes.control import (
    EncodingsEvent,
    MediaNodes,
    NodeHappening,
    NodeMessage,
    NodeRoom,
    NodeSession,
    NodeUnreachableError,
    RoomClosedEvent,
    RoomNotServedError,
    RoomSlotStatesEvent,
    SlotStatesEvent,
    SpeakerEvent,
    WatchStarted,
)
from control_plane.platform.background import Background
from control_plane.platform.observer import Observer
from control_plane.rooms.model import Placement
from control_plane.rooms.service import Rooms

_log = structlog.get_logger(__name__)


class NodeEventApplier:
    """Applies a node's messages to live state."""

    def __init__(
        self,
        state: LiveState,
        live: LiveSessions,
        nodes: MediaNodes,
        rooms: Rooms,
        observer: Observer,
        background: Background,
    ) -> None:
        self._state = state
        self._live = live
        self._nodes = nodes
        self._rooms = rooms
        self._observer = observer
        self._background = background

    async def apply(
        self,
        node_id: str,
        address: str,
        message: NodeMessage,
        latest: NodePosition | None,
    ) -> NodePosition | None:
        """Applies a message; returns up to where the node's events are applied then."""
        if isinstance(message, WatchStarted):
            if message.from_state:
                _log.info("reading a node's state anew", node=node_id, instance=message.position.instance_id)
            return message.position
        if isinstance(message, NodeRoom):
            await self._reconcile(address, message, latest)
            return latest
        if message.what is not None:
            self._observer.counted("node_events_applied")
            await self._happened(message)
        return message.position

    async def _happened(self, event: NodeHappening) -> None:
        what, room = event.what, event.room_id
        if isinstance(what, MediaStateEvent):
            await self._media_state(room, what, source=event.position, traceparent=event.traceparent)
        elif isinstance(what, SlotStatesEvent):
            await self._live.slots_changed(
                room, what.session, what.slots, source=event.position, traceparent=event.traceparent
            )
        elif isinstance(what, RoomSlotStatesEvent):
            await self._live.room_slots_changed(
                room, [(one.session, one.slots) for one in what.sessions], source=event.position
            )
        elif isinstance(what, EncodingsEvent):
            await self._live.encodings_changed(
                room, what.session, what.tracks, source=event.position, traceparent=event.traceparent
            )
        elif isinstance(what, SpeakerEvent):
            await self._live.dominant_speaker(room, what.participant_id, source=event.position)
        elif isinstance(what, RoomClosedEvent):
            await self._rooms.closed_by_node(room, event.epoch)

    async def _media_state(
        self,
        room: str,
        what: MediaStateEvent,
        *,
        source: NodePosition | None,
        traceparent: str | None = None,
    ) -> None:
        with suppress(ParticipantNotFoundError):
            await self._state.change(
                room,
                what.session.participant_id,
                _media_changed(what.session, connected=what.connected),
                media=what,
                source=source,
                traceparent=traceparent,
            )

    # ------------------------------------------------------------ state instead of events

    async def _reconcile(self, address: str, room: NodeRoom, began: NodePosition | None) -> None:
        """Makes live state what a node says that it is; what only the control plane decides is told to the node.

        Another replica that has taken over meanwhile may have applied later events: what they changed stays.
        """
        at = StatePosition(began.instance_id, began.sequence) if began is not None else None
        view = await self._state.view(room.room_id)
        if room.epoch < view.epoch:
            return  # the room is elsewhere by now; the node's next report fences it
        placement = await self._rooms.find(room.room_id)
        if placement is None or placement.control_address != address:
            return
        for session in room.sessions:
            await self._reconcile_session(view, placement, session, at)
        here = {session.key.session_id for session in room.sessions if not session.closed}
        for participant in view.participants:
            if participant.session_id not in here and participant.state is ParticipantState.CONNECTED:
                key = SessionKey(participant.session_id, participant.id)
                await self._media_state(room.room_id, MediaStateEvent(key, connected=False), source=at)
        if room.dominant_speaker != view.dominant_speaker:
            await self._live.dominant_speaker(room.room_id, room.dominant_speaker, source=at)

    async def _reconcile_session(
        self, view: LiveView, placement: Placement, session: NodeSession, at: NodePosition | None
    ) -> None:
        participant = view.participant(session.key.participant_id)
        if participant is None or participant.session_id != session.key.session_id:
            if not await self._live.owns(view.meeting_id, session.key):
                self._background.run("close orphan", self._rooms.close_session(placement, session.key))
            return
        if session.connected or session.closed or session.silence is not None:
            media = MediaStateEvent(session.key, session.connected, session.silence)
            await self._media_state(view.meeting_id, media, source=at)
        await self._live.slots_changed(view.meeting_id, session.key, session.slots, source=at)
        if session.encodings:
            await self._live.encodings_changed(view.meeting_id, session.key, session.encodings, source=at)
        await self._restore_tracks(placement, participant, session)

    async def _restore_tracks(self, placement: Placement, participant: Participant, session: NodeSession) -> None:
        known = {track.mid: track for track in session.tracks}
        different = [track for track in participant.tracks if known.get(track.mid, track) != track]
        if not different:
            return
        try:
            await self._nodes.update_tracks(placement, participant.id, different)
        except (NodeUnreachableError, RoomNotServedError) as error:
            _log.info("tracks not restored on their node", node=placement.node_id, error=str(error))
        except MidUnknownError:
            pass  # its session has been replaced since the node told of it


def _media_changed(session: SessionKey, *, connected: bool) -> Callable[[Participant], Participant]:
    event = ParticipantEvent.MEDIA_CONNECTED if connected else ParticipantEvent.MEDIA_LOST

    def change(participant: Participant) -> Participant:
        if participant.session_id != session.session_id or participant.state is ParticipantState.WAITING:
            return replace(participant)
        return advance(participant, event)

    return change
