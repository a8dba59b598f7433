"""Stays that wait in Redis for the database."""

from __future__ import annotations

from collections.abc import Sequence

from control_plane.history.model import Stay
from control_plane.kernel.records import UnreadableRecordError, decode, read_enum
from control_plane.log.commands import prefix
from control_plane.log.participant import LeaveReason, Participant
from control_plane.platform.quarantine import Quarantine
from control_plane.platform.redis.client import RedisClient, answer, from_milliseconds, store_failures
from control_plane.platform.set_aside import RecordKind


class StayOutbox:
    """Implements `StayOutbox` on the stream that `commit.lua` writes in the same step as a join or a departure."""

    def __init__(self, client: RedisClient, quarantine: Quarantine) -> None:
        self._client = client
        self._quarantine = quarantine

    async def read(self, meeting_id: str, after: str, limit: int) -> Sequence[tuple[str, Stay | None]]:
        """Returns the oldest after a position, with their positions."""
        with store_failures():
            first = f"({after}" if after else "-"
            raw = await answer(self._client.xrange(f"{prefix(meeting_id)}history", first, "+", count=limit))
        return [(position, self._stay(meeting_id, position, fields)) for position, fields in raw]

    async def remove(self, meeting_id: str, positions: Sequence[str]) -> None:
        """Forgets those that are in the database."""
        with store_failures():
            await answer(self._client.xdel(f"{prefix(meeting_id)}history", *positions))

    def _stay(self, meeting_id: str, position: str, fields: dict[str, str]) -> Stay | None:
        try:
            return Stay(
                meeting_id=meeting_id,
                participant=decode(Participant, fields["d"]),
                leave_time=from_milliseconds(fields["l"]) if fields.get("l") else None,
                reason=read_enum(LeaveReason, fields["w"]) if fields.get("w") else None,
            )
        except (UnreadableRecordError, KeyError, ValueError, OverflowError) as error:
            self._quarantine.note(RecordKind.STAY, f"{meeting_id}/{position}", error)
            return None
