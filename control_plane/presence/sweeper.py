"""Presence: who has given no sign of life is taken to have left; what nobody is in any more is put away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from control_plane.history.service import StayKeeper
from control_plane.kernel.clock import Clock
from control_plane.kernel.errors import DomainError
from control_plane.log.participant import LeaveReason, SessionKey
from control_plane.log.state import LiveState
from control_plane.log.times import SignalingTimes
from control_plane.log.view import LiveView
from control_plane.meetings.directory import MeetingDirectory
from control_plane.meetings.model import MeetingState, MeetingType
from control_plane.platform.background import Background
from control_plane.platform.horizon import Horizon
from control_plane.platform.observer import Observer
from control_plane.platform.quarantine import Quarantine
from control_plane.platform.replicas import Share
from control_plane.platform.set_aside import RecordKind
from control_plane.presence.live import LivePresence
from control_plane.rooms.service import Rooms

_log = structlog.get_logger(__name__)
_BATCH = 100
_FAILURES = 10_000
_RETRY = timedelta(seconds=5)
_LONGEST_RETRY = timedelta(minutes=1)


class PresenceSweeper:
    """Looks at meetings of this replica's share when something in them may be over. Each departure happens once."""

    def __init__(  # noqa: PLR0913 -- wiring
        self,
        *,
        state: LiveState,
        live: LivePresence,
        rooms: Rooms,
        meetings: MeetingDirectory,
        stays: StayKeeper,
        clock: Clock,
        times: SignalingTimes,
        observer: Observer,
        background: Background,
        horizon: Horizon,
        quarantine: Quarantine,
        share: Share,
    ) -> None:
        self._state = state
        self._live = live
        self._rooms = rooms
        self._meetings = meetings
        self._stays = stays
        self._clock = clock
        self._times = times
        self._observer = observer
        self._background = background
        self._horizon = horizon
        self._quarantine = quarantine
        self._share = share
        self._failures: dict[str, int] = {}

    async def sweep(self) -> None:
        """Looks once at meetings that are due.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        try:
            due = await self._state.due(self._clock.now())
        except DomainError:
            self._horizon.blinded()
            raise
        self._horizon.looked()
        for meeting_id in self._share.take(due, _BATCH):
            try:
                await self._look(meeting_id)
                self._succeeded(meeting_id)
            except DomainError as error:
                if error.metadata.get("store") == "live state":
                    raise
                # The database is away: the meeting is looked at again, and the others now.
                _log.warning("meeting not put away, trying again", meeting=meeting_id, reason=error.reason)
                await self._state.look_again(meeting_id, self._clock.now() + _RETRY)
            except Exception as error:  # noqa: BLE001 -- whatever is wrong with this one, the others come now
                await self._set_aside(meeting_id, error)

    async def _set_aside(self, meeting_id: str, error: Exception) -> None:
        """A meeting that can't be looked at is looked at again, ever later."""
        if len(self._failures) >= _FAILURES:
            self._failures.clear()
        failures = self._failures[meeting_id] = self._failures.get(meeting_id, 0) + 1
        self._quarantine.note(RecordKind.MEETING, meeting_id, error)
        pause = min(_LONGEST_RETRY, _RETRY * 2 ** min(failures - 1, 10))
        await self._state.look_again(meeting_id, self._clock.now() + pause)

    def _succeeded(self, meeting_id: str) -> None:
        if self._failures.pop(meeting_id, 0):
            self._quarantine.resolved(RecordKind.MEETING, meeting_id)

    async def _look(self, meeting_id: str) -> None:
        now = self._clock.now()
        silent, following = await self._live.silent(meeting_id, now)
        if silent and not self._horizon.steady:
            # Heartbeats could not be noted for a while, so silence proves nothing yet: not to this replica. The meeting
            # stays due, so that one that could look all the time takes it.
            return
        for participant_id in silent:
            await self._expire(meeting_id, participant_id, now)
        view = await self._state.view(meeting_id)
        if view.occupied:
            await self._state.look_again(meeting_id, following or now + timedelta(seconds=self._times.presence))
            await self._note_new_silence(meeting_id, now, silent, following)
            await self._live.tidy(meeting_id)
            await self._stays.flush(meeting_id)
            return
        following = await self._put_away(view, now)
        await self._state.look_again(meeting_id, following)
        if not await self._stays.flush(meeting_id):
            await self._state.look_again(meeting_id, now + _RETRY)

    async def _note_new_silence(
        self, meeting_id: str, now: datetime, known: Sequence[str], following: datetime | None
    ) -> None:
        """Whoever fell silent during this look is missed sooner than it has just been said."""
        silent, sooner = await self._live.silent(meeting_id, now)
        if set(silent) - set(known):
            await self._state.look_again(meeting_id, now)
        elif sooner is not None and (following is None or sooner < following):
            await self._state.look_again(meeting_id, sooner)

    async def _expire(self, meeting_id: str, participant_id: str, now: datetime) -> None:
        left = await self._state.leave(meeting_id, participant_id, LeaveReason.PRESENCE_EXPIRED, silent_since=now)
        if left is not None:
            self._observer.counted("participants_expired")
            key = SessionKey(left.session_id, left.id)
            self._background.run("close session", self._rooms.close_session_of(meeting_id, key))

    async def _put_away(self, view: LiveView, now: datetime) -> datetime | None:
        """Returns when an empty meeting has to be looked at again."""
        if view.ended:
            await self._rooms.release(view.meeting_id)
            return None
        since = view.empty_since
        if since is None:
            # Nobody ever came in: a join that failed, or one that is under way.
            return None if await self._rooms.release_empty(view.meeting_id) else now + _RETRY
        release = since + timedelta(seconds=self._times.linger)
        if now < release:
            return release
        if not await self._rooms.release_empty(view.meeting_id):
            return now + _RETRY  # somebody is about to come in
        return await self._end(view.meeting_id, since, now) if _ends_when_empty(view) else None

    async def _end(self, meeting_id: str, since: datetime, now: datetime) -> datetime | None:
        end = since + timedelta(seconds=self._times.end_empty)
        if now < end:
            return end
        if not await self._live.begin_end(meeting_id):
            return now + _RETRY
        await self._meetings.end_empty(meeting_id)
        return None


def _ends_when_empty(view: LiveView) -> bool:
    meeting = view.meeting
    return meeting is not None and meeting.type is MeetingType.INSTANT and meeting.state is MeetingState.ACTIVE
