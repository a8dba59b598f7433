"""Opening a media session on the node of a meeting's room, and finding another node when that one is gone."""

from __future__ import annotations

import asyncio
from collections.abc import MutableSequence
from typing import Final

from control_plane.application.live_ports import Observer
from control_plane.application.media_ports import MediaNodes, NodeUnreachableError, RoomNotServedError, SessionKey
from control_plane.application.rooms import Rooms
from control_plane.domain.media import MediaOffer, OpenedSession
from control_plane.domain.signaling_errors import media_node_unavailable, no_media_node
from control_plane.placement.model import Placement

_ATTEMPTS: Final = 3
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

    async def _refused(self, placement: Placement, error: RoomNotServedError) -> None:
        """The node answered that it will not: because it is full, drains, or has seen a newer epoch."""
        if error.reason == "NODE_FULL":
            raise no_media_node() from error
        if error.reason == "NODE_DRAINING":
            await self._rooms.draining(placement)
        # Its word counts: the placement is void, and the room is placed anew by the next attempt.
        await self._rooms.void(placement)
