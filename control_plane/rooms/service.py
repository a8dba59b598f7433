"""Rooms of meetings on media nodes: placed when needed, moved when their node is lost, released when nobody is left."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from control_plane.kernel.errors import DomainError
from control_plane.log.errors import ParticipantNotFoundError
from control_plane.log.participant import Participant, ParticipantEvent, SessionKey, advance
from control_plane.log.state import LiveState
from control_plane.nodes.control import MediaNodes, NodeUnreachableError, RoomNotServedError
from control_plane.nodes.liveness import Liveness, MoveSignal
from control_plane.platform.background import Background
from control_plane.platform.observer import Observer
from control_plane.platform.quarantine import Quarantine
from control_plane.platform.replicas import Share
from control_plane.platform.set_aside import RecordKind
from control_plane.rooms.errors import EpochMismatchError, NoMediaNodeError, NoNodeAvailableError
from control_plane.rooms.leases import Released, RoomLeases
from control_plane.rooms.live import LiveRooms
from control_plane.rooms.model import Placement, PlacementRequest

_log = structlog.get_logger(__name__)
_AT_ONCE: Final = 50


class Rooms:
    """What the rest of the control plane asks about rooms."""

    def __init__(  # noqa: PLR0913 -- wiring
        self,
        *,
        leases: RoomLeases,
        nodes: MediaNodes,
        liveness: Liveness,
        signal: MoveSignal,
        state: LiveState,
        live: LiveRooms,
        observer: Observer,
        background: Background,
        quarantine: Quarantine,
        share: Share,
    ) -> None:
        self._leases = leases
        self._nodes = nodes
        self._liveness = liveness
        self._signal = signal
        self._state = state
        self._live = live
        self._observer = observer
        self._background = background
        self._quarantine = quarantine
        self._share = share

    async def place(self, meeting_id: str, region: str, session_id: str = "") -> Placement:
        """Returns where a meeting's room is, and places it if it is nowhere.

        Raises:
            DomainError: NO_MEDIA_NODE, STORE_UNAVAILABLE.
        """
        try:
            return await self._leases.place(PlacementRequest(meeting_id, region), session_id=session_id)
        except NoNodeAvailableError as error:
            raise NoMediaNodeError from error

    async def find(self, meeting_id: str) -> Placement | None:
        """Returns where a meeting's room is."""
        return await self._leases.find(meeting_id)

    async def abandon(self, placement: Placement, session: SessionKey) -> None:
        """A session that was to be opened there will not be: nothing of it stays."""
        await self._leases.settle(placement.node_id, session.session_id)
        await self.close_session(placement, session)

    async def unreachable(self, placement: Placement) -> bool:
        """A room's node did not answer.

        Returns:
            Whether the room will be placed anew now.
        """
        return await self._liveness.unreachable(placement.node_id, placement.instance_id, placement.control_address)

    async def void(self, placement: Placement) -> None:
        """A room's node serves it no more: it is placed anew, at once if somebody is in it."""
        await self._leases.invalidate(placement.room_id, placement.epoch)
        self.move_soon()

    async def outdated(self, placement: Placement) -> None:
        """A meeting knows a newer epoch than a placement's, or one that is about to be released."""
        await self._leases.invalidate(placement.room_id, placement.epoch)

    async def draining(self, placement: Placement) -> None:
        """A room's node said that it takes no new rooms."""
        await self._liveness.draining(placement.node_id, placement.instance_id)

    async def closed_by_node(self, room_id: str, epoch: int) -> None:
        """A node says that it closed a room under this epoch."""
        await self._leases.invalidate(room_id, epoch)
        self.move_soon()

    async def close_session(self, placement: Placement, session: SessionKey) -> None:
        """Closes a session, if its node still has it."""
        try:
            await self._nodes.close_session(placement, session)
        except (NodeUnreachableError, RoomNotServedError) as error:
            # The node closes a session by itself when its client is silent for 30 s.
            _log.info("session not closed on its node", node=placement.node_id, error=str(error))

    async def close_session_of(self, meeting_id: str, session: SessionKey) -> None:
        """Closes a session wherever the meeting's room is."""
        placement = await self._leases.find(meeting_id)
        if placement is not None and session.session_id:
            await self.close_session(placement, session)

    async def release(self, meeting_id: str) -> None:
        """Gives a meeting's node back."""
        released = await self._leases.release(meeting_id)
        if released is not None:
            self._background.run("close room", self.close(released))

    async def release_empty(self, meeting_id: str) -> bool:
        """Gives back the node of a meeting that nobody is in; False: somebody is, or is about to come in.

        A join that has found the room before finds when it commits that the room is gone, and places it anew.
        """
        epoch = await self._leases.epoch(meeting_id)
        if not await self._live.vacate(meeting_id, epoch):
            return False
        if not epoch:
            return True
        try:
            released = await self._leases.release(meeting_id, epoch=epoch)
        except EpochMismatchError:
            return False
        if released is not None:
            self._background.run("close room", self.close(released))
        return True

    async def close(self, released: Released) -> None:
        """Closes a room whose placement has ended; its node's next report would fence it anyway."""
        try:
            await self._nodes.close_room(released.control_address, released.room_id, released.epoch)
        except (NodeUnreachableError, RoomNotServedError) as error:
            _log.info("room not closed on its node", node=released.node_id, error=str(error))

    async def moved(self, placement: Placement) -> None:
        """A meeting's room is served under this placement now: everyone is told, once."""
        await self._live.media_moved(placement.room_id, placement.epoch)

    def move_soon(self) -> None:
        """Rooms have to be placed anew: not at the next tick but now."""
        self._signal.set()

    async def move_void(self) -> int:
        """Places live meetings of this replica's share anew whose lease is void, and tells their participants.

        Returns:
            How many were moved.
        """
        moved = 0
        for room_id in self._share.take(await self._leases.void_rooms(), _AT_ONCE):
            try:
                moved += await self._move(room_id)
            except NoMediaNodeError:
                break  # nor is there one for the others; they are looked at again in a moment
            except DomainError:
                raise
            except Exception as error:  # noqa: BLE001 -- whatever is wrong with this one, the others are moved
                self._quarantine.note(RecordKind.MEETING, room_id, error)
        return moved

    async def _move(self, room_id: str) -> bool:
        view = await self._state.view(room_id)
        if not view.occupied:
            await self.release_empty(room_id)
            return False
        region = view.meeting.settings.preferred_region if view.meeting else ""
        await self._announce(await self.place(room_id, region))
        return True

    async def _announce(self, placement: Placement) -> None:
        self._observer.counted("media_moved")
        _log.info("room moved", room=placement.room_id, node=placement.node_id, epoch=placement.epoch)
        await self.moved(placement)
        # Opened ahead, the room is there when its participants come.
        self._background.run("open moved room", self._open(placement))
        view = await self._state.view(placement.room_id)
        for participant in view.participants:
            self._background.run("mark reconnecting", self._reconnecting(placement, participant.id))

    async def _open(self, placement: Placement) -> None:
        try:
            await self._nodes.open_room(placement)
        except NodeUnreachableError:
            if await self.unreachable(placement):
                self.move_soon()
        except RoomNotServedError as error:
            _log.warning("moved room not opened", node=placement.node_id, reason=error.reason)

    async def _reconnecting(self, placement: Placement, participant_id: str) -> None:
        with suppress(ParticipantNotFoundError):
            await self._state.change(placement.room_id, participant_id, _left_behind_by(placement))


def _left_behind_by(placement: Placement) -> Callable[[Participant], Participant]:
    """The media of those are lost whose session is older than the room's new place, however late that is announced."""

    def change(participant: Participant) -> Participant:
        if participant.epoch >= placement.epoch:
            return participant
        return advance(participant, ParticipantEvent.MEDIA_LOST)

    return change
