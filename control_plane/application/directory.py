"""What being in a meeting asks of the meeting as it was planned (`live_ports.MeetingDirectory`)."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable

from control_plane.application.ports import MEETING_ENDED, MEETING_UPDATED, Attempts, Rules, Store, UnitOfWork
from control_plane.domain.clock import Clock
from control_plane.domain.meeting import Meeting, MeetingEvent, MeetingState, advance
from control_plane.domain.meeting_errors import meeting_not_found, passcode_attempts_exceeded, passcode_wrong

_IPV6_SITE = 64


class Directory:
    """Finds meetings, moves them through their life, and compares passcodes."""

    def __init__(
        self, *, store: Store, attempts: Attempts, clock: Clock, rules: Rules, wake_relay: Callable[[], None]
    ) -> None:
        self._store = store
        self._attempts = attempts
        self._clock = clock
        self._rules = rules
        self._wake_relay = wake_relay

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
        self._wake_relay()
        return meeting

    async def end_empty(self, meeting_id: str) -> None:
        """Ends a meeting that nobody is in any more; one that is gone stays gone."""
        async with self._store.begin() as unit:
            if await unit.meetings.get(meeting_id) is not None:
                await self.advance(unit, meeting_id, MeetingEvent.END)
        self._wake_relay()

    async def advance(
        self, unit: UnitOfWork, meeting_id: str, event: MeetingEvent, participant_id: str = ""
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
        """Compares a passcode in constant time, and limits the wrong ones of an address.

        Raises:
            DomainError: PASSCODE_WRONG, PASSCODE_ATTEMPTS_EXCEEDED.
        """
        key = f"passcode:{meeting.number}:{site(address)}"
        attempt = await self._attempts.count(key, self._rules.passcode_limit)
        if not attempt.allowed:
            raise passcode_attempts_exceeded(attempt.retry_after)
        if not hmac.compare_digest(meeting.passcode.encode(), passcode.encode()):
            raise passcode_wrong(attempt.left)
        await self._attempts.forgive(key)


def site(address: str) -> str:
    """Returns what counts as one place in a limit: an IPv4 address, or the /64 of an IPv6 address."""
    bare = address.removeprefix("ipv4:").removeprefix("ipv6:").replace("%5B", "").replace("%5D", "").strip("[]")
    try:
        parsed = ipaddress.ip_address(bare)
    except ValueError:
        return bare
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(ipaddress.ip_network((parsed, _IPV6_SITE), strict=False))
