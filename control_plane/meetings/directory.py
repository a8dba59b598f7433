"""What being in a meeting asks of the meeting as it was planned."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

import structlog

from control_plane.accounts.rules import Rules
from control_plane.kernel.address import network, site
from control_plane.kernel.clock import Clock
from control_plane.kernel.errors import DomainError
from control_plane.kernel.ids import PASSCODE_DIGITS
from control_plane.meetings.errors import meeting_not_found, passcode_attempts_exceeded, passcode_wrong
from control_plane.meetings.model import Meeting, MeetingEvent, MeetingState, advance
from control_plane.meetings.store import MeetingStore, MeetingUnit
from control_plane.platform.limits import Guesser, SecretLimits
from control_plane.platform.outbox import MEETING_ENDED, MEETING_UPDATED, OutboxSignal
from control_plane.platform.redis.attempts import Attempts

TellHost = Callable[[str, int], Awaitable[None]]
"""Tells the hosts who are in a meeting how many wrong passcodes came lately."""


class MeetingDirectory(Protocol):
    """Meetings as they were planned."""

    async def find(self, meeting_id: str) -> Meeting | None:
        """Returns a meeting.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        ...

    async def start(self, meeting_id: str) -> Meeting:
        """Makes a meeting ACTIVE, since its host came.

        Raises:
            DomainError: MEETING_ENDED, STORE_UNAVAILABLE.
        """
        ...

    async def end_empty(self, meeting_id: str) -> None:
        """Ends a meeting that has been empty for too long.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        ...

    async def check_passcode(self, meeting: Meeting, passcode: str, address: str) -> None:
        """Compares a passcode, and counts wrong ones.

        Raises:
            DomainError: PASSCODE_WRONG, PASSCODE_ATTEMPTS_EXCEEDED.
        """
        ...


log = structlog.get_logger(__name__)


class Directory:
    """Finds meetings, moves them through their life, and compares passcodes."""

    def __init__(
        self,
        *,
        store: MeetingStore,
        attempts: Attempts,
        clock: Clock,
        rules: Rules,
        outbox: OutboxSignal,
        tell_host: TellHost | None = None,
    ) -> None:
        """Set it up.

        Args:
            store: Where meetings are kept.
            attempts: Counts wrong passcodes.
            clock: The clock.
            rules: What the deployment allows.
            outbox: Says that there is something in the outbox.
            tell_host: Tells hosts who are in their meeting of wrong passcodes; None: nobody is told.
        """
        self._store = store
        self._tell_host = tell_host
        self._attempts = attempts
        self._clock = clock
        self._rules = rules
        self._outbox = outbox

    async def find(self, meeting_id: str) -> Meeting | None:
        """Returns a meeting."""
        async with self._store.read() as unit:
            return await unit.meetings.get(meeting_id)

    async def require(self, meeting_id: str) -> Meeting:
        """Returns a meeting.

        Raises:
            DomainError: MEETING_NOT_FOUND.
        """
        meeting = await self.find(meeting_id)
        if meeting is None:
            raise meeting_not_found()
        return meeting

    async def start(self, meeting_id: str) -> Meeting:
        """Makes a meeting ACTIVE, since somebody came who begins it.

        Raises:
            DomainError: MEETING_NOT_FOUND, MEETING_ENDED.
        """
        async with self._store.begin() as unit:
            meeting = await self.advance(unit, meeting_id, MeetingEvent.START)
        self._outbox.wake()
        return meeting

    async def end_empty(self, meeting_id: str) -> None:
        """Ends a meeting that nobody is in any more; one that is gone stays gone."""
        async with self._store.begin() as unit:
            if await unit.meetings.get(meeting_id) is not None:
                await self.advance(unit, meeting_id, MeetingEvent.END)
        self._outbox.wake()

    async def advance(
        self, unit: MeetingUnit, meeting_id: str, event: MeetingEvent, participant_id: str = ""
    ) -> Meeting:
        """Moves a meeting through its life, and tells those who are in it when it has changed.

        Raises:
            DomainError: MEETING_NOT_FOUND, MEETING_ENDED, MEETING_STATE_CONFLICT.
        """
        before = await unit.meetings.get(meeting_id, lock=True)
        if before is None:
            raise meeting_not_found()
        meeting = advance(before, event, self._clock.now())
        if meeting is not before:
            await unit.meetings.save(meeting)
            kind = MEETING_ENDED if meeting.state is MeetingState.ENDED else MEETING_UPDATED
            await unit.outbox.add(kind, meeting_id, participant_id=participant_id)
        return meeting

    async def check_passcode(self, meeting: Meeting, passcode: str, address: str) -> None:
        """Compares a passcode in constant time, and limits wrong ones; none at all is no try.

        Raises:
            DomainError: PASSCODE_WRONG, PASSCODE_ATTEMPTS_EXCEEDED.
        """
        right = hmac.compare_digest(meeting.passcode.encode(), passcode.encode()) if passcode else None
        guess = await self._attempts.guess(
            f"passcode:{meeting.number}:{_digest(meeting)}",
            self._guesser(address),
            _search_limits(self._rules.passcode_search, meeting.passcode),
            right=right,
        )
        if guess.failures:
            await self._note_guesses(meeting.number, guess.failures)
        if not guess.answered:
            raise passcode_attempts_exceeded(guess.retry_after)
        if not right:
            raise passcode_wrong(guess.left)

    def _guesser(self, address: str) -> Guesser:
        place, around = site(address), network(address)
        limits = {place: self._rules.passcode_limit}
        if around != place:
            limits[around] = self._rules.passcode_network_limit
        return Guesser(place, limits)

    async def _note_guesses(self, number: str, failures: int) -> None:
        log.warning("passcode.guessed", meeting=number, failures=failures)
        if self._tell_host is None:
            return
        try:
            await self._tell_host(number, failures)
        except DomainError as error:
            log.warning("passcode.host_not_told", meeting=number, reason=error.reason)


def _digest(meeting: Meeting) -> str:
    """Names a passcode, so that with a new one all counts begin anew.

    It tells no more than the live state beside it, which holds the passcode itself.
    """
    return hashlib.blake2s(meeting.passcode.encode(), key=meeting.number.encode(), digest_size=8).hexdigest()


def _search_limits(limits: SecretLimits, passcode: str) -> SecretLimits:
    """More digits than usual make a search hopeless, so that fewer people need to be held up by one.

    A passcode that is no number may be a word, which a search would begin with.
    """
    if not passcode.isdecimal() or len(passcode) <= PASSCODE_DIGITS:
        return limits
    times = 10 ** min((len(passcode) - PASSCODE_DIGITS) // 2, 3)
    return replace(
        limits,
        first=replace(limits.first, attempts=limits.first.attempts * times),
        again=replace(limits.again, attempts=limits.again.attempts * times),
    )
