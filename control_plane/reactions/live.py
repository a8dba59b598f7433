"""Reactions in a meeting's log."""

from __future__ import annotations

from typing import Final

from control_plane.kernel.errors import rate_limited
from control_plane.log.errors import ParticipantNotFoundError
from control_plane.log.state import LiveState
from control_plane.platform.redis.client import milliseconds
from control_plane.reactions.events import reaction_sent

_REACTIONS_PER_SECOND: Final = 5
_REACTION_GAP_MS: Final = 1000 // _REACTIONS_PER_SECOND
_TOO_MANY_REACTIONS: Final = f"At most {_REACTIONS_PER_SECOND} reactions a second."


class LiveReactions:
    """The command of reacting."""

    def __init__(self, state: LiveState) -> None:
        self._state = state

    async def react(self, meeting_id: str, participant_id: str, emoji: str, request_id: str) -> None:
        """Shows everyone an emoji."""
        now = str(milliseconds(self._state.clock.now()))
        command = (
            self._state.present(participant_id)
            .check("rate", f"reaction:{participant_id}", now, _REACTION_GAP_MS, _REACTIONS_PER_SECOND)
            .tell(reaction_sent(meeting_id, participant_id, emoji))
        )
        outcome = await self._state.commit(meeting_id, command, operation=f"react:{participant_id}:{request_id}")
        if outcome.status == "present":
            raise ParticipantNotFoundError
        if outcome.status == "rate":
            raise rate_limited(_TOO_MANY_REACTIONS, _REACTION_GAP_MS / 1000)
