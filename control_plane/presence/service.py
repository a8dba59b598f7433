"""Staying in a meeting, and leaving it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from control_plane.accounts.tokens import ParticipantTokens, SignedToken
from control_plane.history.service import StayKeeper
from control_plane.kernel.caller import CallingParticipant
from control_plane.kernel.clock import Clock
from control_plane.log.participant import LeaveReason, SessionKey
from control_plane.log.state import LiveState
from control_plane.log.times import SignalingTimes
from control_plane.platform.background import Background
from control_plane.platform.observer import Observer
from control_plane.presence.live import LivePresence
from control_plane.rooms.service import Rooms


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a participant is answered who says that they are still there.

    Attributes:
        interval: Seconds until they shall say it again.
        token: A new token when the old one has less than half of its life left.
    """

    interval: float
    token: SignedToken | None = None


class Presence:
    """The use cases of somebody who stays or leaves."""

    def __init__(
        self,
        *,
        state: LiveState,
        live: LivePresence,
        rooms: Rooms,
        tokens: ParticipantTokens,
        stays: StayKeeper,
        clock: Clock,
        times: SignalingTimes,
        observer: Observer,
        background: Background,
    ) -> None:
        self._state = state
        self._live = live
        self._rooms = rooms
        self._tokens = tokens
        self._stays = stays
        self._clock = clock
        self._times = times
        self._observer = observer
        self._background = background

    async def leave(self, who: CallingParticipant) -> None:
        """Leaves; leaving twice is harmless."""
        left = await self._state.leave(who.meeting_id, who.participant_id, LeaveReason.LEFT)
        if left is None:
            return
        self._observer.counted("participants_left")
        key = SessionKey(left.session_id, left.id)
        self._background.run("close session", self._rooms.close_session_of(who.meeting_id, key))
        self._background.run("record stay", self._stays.flush_soon(who.meeting_id))

    async def end(self, meeting_id: str) -> None:
        """Everybody is out of a meeting; what the database says of it stays."""
        await self._live.end(meeting_id, "", operation="")
        await self._rooms.release(meeting_id)

    async def heartbeat(self, who: CallingParticipant) -> Heartbeat:
        """Says that the participant is still there.

        Raises:
            DomainError: PARTICIPANT_NOT_FOUND.
        """
        silent = await self._state.signalled(who.meeting_id, who.participant_id)
        interval = self._times.silent_heartbeat if silent else self._times.heartbeat
        if not _half_spent(who, self._clock.now()):
            return Heartbeat(interval)
        participant = await self._state.participant(who.meeting_id, who.participant_id)
        return Heartbeat(interval, self._tokens.issue(who.meeting_id, participant.id, participant.role))


def _half_spent(who: CallingParticipant, now: datetime) -> bool:
    if who.token_life is None:
        return True
    made, expires = who.token_life
    return (expires - now) * 2 < expires - made
