"""Participants' streams in the live state: each has one."""

from __future__ import annotations

from typing import Final

from control_plane.log.commands import Command, prefix
from control_plane.log.errors import ParticipantNotFoundError
from control_plane.log.state import LiveState
from control_plane.platform.redis.client import answer, milliseconds, store_failures

# Two pages of one participant that take each other's stream are held back; one whose connection broke is not.
_REPLACED_GAP_MS: Final = 6_000
_REPLACED_AT_ONCE: Final = 2
_REPLACED_COUNTED: Final = 20


class Streams:
    """Commands about streams."""

    def __init__(self, state: LiveState) -> None:
        self._state = state

    async def may_open_stream(self, meeting_id: str, participant_id: str) -> bool:
        """Whether a participant may open a stream now: not while their streams have replaced each other too often."""
        with store_failures():
            due = await answer(self._state.client.get(f"{prefix(meeting_id)}rate:{_replaced(participant_id)}"))
        ahead = float(due or 0) - milliseconds(self._state.clock.now())
        return ahead <= _REPLACED_GAP_MS * (_REPLACED_AT_ONCE - 1)

    async def stream_replaced(self, meeting_id: str, participant_id: str) -> None:
        """A stream of a participant ends, since they opened another."""
        now = str(milliseconds(self._state.clock.now()))
        name = _replaced(participant_id)
        await self._state.commit(meeting_id, Command().check("rate", name, now, _REPLACED_GAP_MS, _REPLACED_COUNTED))

    async def open_stream(self, meeting_id: str, participant_id: str, stream_id: str) -> str:
        """A participant watches from now on by this stream and by no other; returns the position of that entry."""
        command = self._state.present(participant_id).step("stream", participant_id, stream_id)
        outcome = await self._state.commit(meeting_id, command)
        if outcome.status != "ok":
            raise ParticipantNotFoundError
        return outcome.position


def _replaced(participant_id: str) -> str:
    return f"replaced:{participant_id}"
