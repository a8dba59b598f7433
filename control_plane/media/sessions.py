"""Opening a media session on the node of a meeting's room, and finding another node when that one is gone."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import MutableSequence
from typing import Final

from control_plane.log.participant import SessionKey
from control_plane.media.errors import media_node_unavailable
from control_plane.media.model import MediaOffer, OpenedSession
from control_plane.nodes.control import (
    MediaNodes,
    NodeDrainingError,
    NodeFullError,
    NodeUnreachableError,
    RoomNotServedError,
)
from control_plane.platform.observer import Observer
from control_plane.rooms.errors import NoMediaNodeError
from control_plane.rooms.model import Placement
from control_plane.rooms.service import Rooms

_ATTEMPTS: Final = 3
_NAMESPACE: Final = uuid.UUID("5b1f5b0e-6d0e-4f43-9a0f-0c9f1f6a1d57")
_PAUSE: Final = 0.05


class SessionOpener:
    """Places a room and opens a session there."""

    def __init__(self, rooms: Rooms, nodes: MediaNodes, observer: Observer) -> None:
        self._rooms = rooms
        self._nodes = nodes
        self._observer = observer

    async def open(
        self, meeting_id: str, region: str, key: SessionKey, offer: MediaOffer, undo: MutableSequence[Placement]
    ) -> tuple[Placement, OpenedSession]:
        """Opens a session.

        Args:
            meeting_id: The meeting.
            region: Region to prefer if the room is to be placed.
            key: The session and whose it is.
            offer: The client's half.
            undo: Where placements are noted at which something may be left behind.

        Raises:
            DomainError: SDP_INVALID, SDP_NOT_ACCEPTABLE, MID_UNKNOWN, NO_MEDIA_NODE, MEDIA_NODE_UNAVAILABLE,
                STORE_UNAVAILABLE.
        """
        for attempt in range(_ATTEMPTS):
            with self._observer.stage("place"):
                placement = await self._rooms.place(meeting_id, region, key.session_id)
            undo.append(placement)
            try:
                with self._observer.stage("open_session"):
                    return placement, await self._nodes.open_session(placement, key, offer)
            except NodeUnreachableError:
                if not await self._rooms.unreachable(placement):
                    raise media_node_unavailable() from None
            except RoomNotServedError as error:
                await self._refused(placement, error)
            await asyncio.sleep(_PAUSE * attempt)
        raise media_node_unavailable()

    async def abandon(self, placement: Placement, key: SessionKey) -> None:
        """Takes back what `open` did at a placement."""
        await self._rooms.abandon(placement, key)

    async def outdated(self, placement: Placement) -> None:
        """A meeting takes no more sessions under a placement: unless it has moved by now, it is placed anew."""
        await self._rooms.outdated(placement)

    async def moved(self, placement: Placement) -> None:
        """A meeting's room is served under this placement now."""
        await self._rooms.moved(placement)

    async def _refused(self, placement: Placement, error: RoomNotServedError) -> None:
        """The node answered that it will not: because it is full, drains, or has seen a newer epoch."""
        if isinstance(error, NodeFullError):
            raise NoMediaNodeError from error
        if isinstance(error, NodeDrainingError):
            await self._rooms.draining(placement)
        # Its word counts: the placement is void, and the room is placed anew by the next attempt.
        await self._rooms.void(placement)


def session_id_of(participant_id: str, request_id: str) -> str:
    """Returns the media session that a request makes."""
    return str(uuid.uuid5(_NAMESPACE, f"{participant_id}/{request_id}"))
