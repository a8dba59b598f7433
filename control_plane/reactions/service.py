"""Reacting to what happens in a meeting."""

from __future__ import annotations

from control_plane.kernel.caller import CallingParticipant
from control_plane.reactions.live import LiveReactions


class Reactions:
    """The use case of reacting."""

    def __init__(self, live: LiveReactions) -> None:
        self._live = live

    async def react(self, who: CallingParticipant, emoji: str, request_id: str) -> None:
        """Shows everyone an emoji.

        Raises:
            DomainError: PARTICIPANT_NOT_FOUND, RATE_LIMITED.
        """
        await self._live.react(who.meeting_id, who.participant_id, emoji, request_id)
