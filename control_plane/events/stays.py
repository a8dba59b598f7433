"""Stays that wait in Redis for the database."""

from __future__ import annotations

from collections.abc import Sequence

from control_plane.application.live_ports import Stay
from control_plane.domain.event import LeaveReason
from control_plane.domain.participant import Participant
from control_plane.events import codec
from control_plane.events.commands import prefix
from control_plane.redis_store import RedisClient, answer, from_milliseconds, store_failures


class RedisStayOutbox:
    """Implements `StayOutbox` on the stream that `commit.lua` writes in the same step as a join or a departure."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def read(self, meeting_id: str, limit: int) -> Sequence[tuple[str, Stay]]:
        """Returns the oldest, with their positions."""
        with store_failures():
            raw = await answer(self._client.xrange(f"{prefix(meeting_id)}history", count=limit))
        return [(position, _stay(meeting_id, fields)) for position, fields in raw]

    async def remove(self, meeting_id: str, positions: Sequence[str]) -> None:
        """Forgets those that are in the database."""
        with store_failures():
            await answer(self._client.xdel(f"{prefix(meeting_id)}history", *positions))


def _stay(meeting_id: str, fields: dict[str, str]) -> Stay:
    return Stay(
        meeting_id=meeting_id,
        participant=codec.decode(Participant, fields["d"]),
        leave_time=from_milliseconds(fields["l"]) if fields["l"] else None,
        reason=LeaveReason(fields["w"]) if fields["w"] else None,
    )
