"""What happens on media nodes becomes what happens in meetings: once, by one replica a node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

import structlog

from control_plane.application.background import Background, stay_alive
from control_plane.application.live_ports import LiveMeetings, LiveView, Observer
from control_plane.application.media_ports import (
    EncodingsEvent,
    MediaNodes,
    MediaStateEvent,
    NodeHappening,
    NodeMessage,
    NodePosition,
    NodeRoom,
    NodeSession,
    NodeUnreachableError,
    RoomClosedEvent,
    RoomNotServedError,
    RoomSlotStatesEvent,
    SessionKey,
    SlotStatesEvent,
    SpeakerEvent,
    StatePosition,
    WatchStarted,
)
from control_plane.application.quarantine import Quarantine, RecordKind
from control_plane.application.rooms import Rooms
from control_plane.domain.errors import DomainError, ErrorKind
from control_plane.domain.participant import Participant, ParticipantEvent, ParticipantState, advance
from control_plane.placement.model import NodeStatus, Placement
from control_plane.placement.registry import NodeRegistry

_log = structlog.get_logger(__name__)
_SAVE_EVERY: Final = 0.5
_TASK: Final = "node event stream"
_RETRY_FIRST: Final = 0.1
_RETRY_MOST: Final = 1.0


class ConsumerLeases(Protocol):
    """Which replica listens to which node, and up to where it has."""

    async def hold(self, node_id: str) -> bool:
        """Takes or renews the lease; False: another replica has it."""
        ...

    async def let_go(self, node_id: str) -> None:
        """Gives the lease back, if it is held here."""
        ...

    async def position(self, node_id: str) -> NodePosition | None:
        """Returns up to where events were applied."""
        ...

    async def save(self, node_id: str, position: NodePosition) -> None:
        """Notes up to where events were applied."""
        ...


class NodeEventConsumers:
    """Listens to every node whose lease this replica can get."""

    def __init__(
        self,
        registry: NodeRegistry,
        leases: ConsumerLeases,
        nodes: MediaNodes,
        rooms: Rooms,
        applier: NodeEventApplier,
        quarantine: Quarantine,
        observer: Observer,
    ) -> None:
        self._registry = registry
        self._leases = leases
        self._nodes = nodes
        self._rooms = rooms
        self._applier = applier
        self._quarantine = quarantine
        self._observer = observer
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def tend(self) -> None:
        """Starts, renews and ends listening; to be called more often than leases run out."""
        serving = {
            (node.registration.node_id, node.registration.control_address): node
            for node in await self._registry.nodes()
            if node.state.serves
        }
        for key in [key for key in self._tasks if key not in serving]:
            await self._stop(key)
        for key, node in serving.items():
            if not await self._leases.hold(node.registration.node_id):
                await self._stop(key)
            elif key not in self._tasks or self._tasks[key].done():
                self._tasks[key] = asyncio.create_task(self._listen(node), name=f"events of {key[0]}")

    async def stop(self) -> None:
        """Ends listening and gives the leases back."""
        for key in list(self._tasks):
            await self._stop(key)
            try:
                await self._leases.let_go(key[0])
            except DomainError:
                _log.info("consumer lease not given back, it runs out", node=key[0])

    async def _stop(self, key: tuple[str, str]) -> None:
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _listen(self, node: NodeStatus) -> None:
        who = node.registration
        retry, faults = _RETRY_FIRST, 0
        while True:
            stay_alive()
            try:
                position = await self._leases.position(who.node_id)
                retry = await self._follow(who.node_id, who.control_address, position) or retry
            except NodeUnreachableError:
                await self._probe(node)
            except (DomainError, RoomNotServedError) as error:
                _log.info("events of a node interrupted", node=who.node_id, error=str(error))
            except Exception as error:  # noqa: BLE001 -- listening outlives its faults
                faults += 1
                self._observer.task_failed(_TASK, type(error).__name__)
                if faults == 1:
                    _log.exception("events of a node interrupted", node=who.node_id)
            else:
                faults = 0
            await asyncio.sleep(retry)
            retry = min(_RETRY_MOST, retry * 2)

    async def _probe(self, node: NodeStatus) -> None:
        who = node.registration
        try:
            await self._rooms.stream_broken(who.node_id, who.instance_id, who.control_address)
        except DomainError as error:
            _log.info("node not probed", node=who.node_id, reason=error.reason)

    async def _follow(self, node_id: str, address: str, position: NodePosition | None) -> float:
        """Applies events until the stream ends; returns the pause before the next."""
        saved = asyncio.get_running_loop().time()
        latest, in_state = position, False
        try:
            async for message in self._nodes.watch(address, position):
                latest = await self._apply(node_id, address, message, latest)
                in_state = _in_state(message, before=in_state)
                now = asyncio.get_running_loop().time()
                if latest is not None and not in_state and now - saved > _SAVE_EVERY:
                    await self._leases.save(node_id, latest)
                    saved = now
        finally:
            if latest is not None and not in_state and latest != position:
                await self._leases.save(node_id, latest)
        return _RETRY_FIRST

    async def _apply(
        self, node_id: str, address: str, message: NodeMessage, latest: NodePosition | None
    ) -> NodePosition | None:
        """Applies a message; one that can't be applied is passed over, since it would come again for ever."""
        try:
            return await self._applier.apply(node_id, address, message, latest)
        except (NodeUnreachableError, RoomNotServedError):
            raise
        except Exception as error:  # whatever is wrong with this one, the others follow
            if isinstance(error, DomainError) and error.kind is ErrorKind.UNAVAILABLE:
                raise
            self._quarantine.note(RecordKind.NODE_EVENT, node_id, error)
            return message.position if isinstance(message, NodeHappening) else latest


class NodeEventApplier:
    """Applies a node's messages to live state."""

    def __init__(
        self, live: LiveMeetings, nodes: MediaNodes, rooms: Rooms, observer: Observer, background: Background
    ) -> None:
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
        try:
            await self._live.change(
                room,
                what.session.participant_id,
                _media_changed(what.session, connected=what.connected),
                media=what,
                source=source,
                traceparent=traceparent,
            )
        except DomainError as error:
            if error.reason != "PARTICIPANT_NOT_FOUND":
                raise

    # ------------------------------------------------------------ state instead of events

    async def _reconcile(self, address: str, room: NodeRoom, began: NodePosition | None) -> None:
        """Makes live state what a node says that it is; what only the control plane decides is told to the node.

        Another replica that has taken over meanwhile may have applied later events: what they changed stays.
        """
        at = StatePosition(began.instance_id, began.sequence) if began is not None else None
        view = await self._live.view(room.room_id)
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
        except DomainError as error:
            # Its session has been replaced since the node told of it.
            if error.reason != "MID_UNKNOWN":
                raise


def _in_state(message: NodeMessage, *, before: bool) -> bool:
    """Whether rooms of a node's state may still follow: a stream that breaks off here has to begin with them again."""
    if isinstance(message, WatchStarted):
        return message.from_state
    return before and isinstance(message, NodeRoom)


def _media_changed(session: SessionKey, *, connected: bool) -> Callable[[Participant], Participant]:
    event = ParticipantEvent.MEDIA_CONNECTED if connected else ParticipantEvent.MEDIA_LOST

    def change(participant: Participant) -> Participant:
        if participant.session_id != session.session_id or participant.state is ParticipantState.WAITING:
            return replace(participant)
        return advance(participant, event)[0]

    return change
