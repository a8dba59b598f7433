"""Planning, starting and ending meetings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from control_plane.accounts.errors import guests_not_allowed
from control_plane.accounts.rules import Rules
from control_plane.accounts.service import Identity
from control_plane.accounts.tokens import Tokens
from control_plane.kernel.caller import Caller, CallerKind
from control_plane.kernel.clock import Clock
from control_plane.kernel.errors import invalid_argument, permission_denied
from control_plane.kernel.ids import LONG_PASSCODE_DIGITS, IdFactory
from control_plane.kernel.paging import Position
from control_plane.kernel.text import check_shown, is_time_zone
from control_plane.log.state import LiveState
from control_plane.meetings.directory import Directory
from control_plane.meetings.errors import (
    etag_mismatch,
    meeting_ended,
    meeting_not_found,
    meeting_type_not_supported,
    time_zone_unknown,
)
from control_plane.meetings.model import (
    Meeting,
    MeetingEvent,
    MeetingSettings,
    MeetingState,
    MeetingType,
    advance,
    changed,
)
from control_plane.meetings.plans import MeetingChange, MeetingPlan, MeetingSummary, MeetingView
from control_plane.meetings.store import MeetingStore, MeetingUnit
from control_plane.platform.outbox import MEETING_ENDED, MEETING_UPDATED, OutboxSignal

_SUPPORTED = {MeetingType.INSTANT, MeetingType.SCHEDULED}
_NUMBER_TRIES = 5


class MeetingPlanning:
    """The use cases of meetings as they are planned."""

    def __init__(
        self,
        *,
        store: MeetingStore,
        accounts: Identity,
        tokens: Tokens,
        directory: Directory,
        live: LiveState,
        clock: Clock,
        ids: IdFactory,
        rules: Rules,
        outbox: OutboxSignal,
    ) -> None:
        """Set it up.

        Args:
            store: Where meetings are kept.
            accounts: Who hosts them.
            tokens: Makes fingerprints of requests.
            directory: What is asked of meetings by those who join them.
            live: Who is in meetings.
            clock: The clock.
            ids: Makes numbers and passcodes.
            rules: What the deployment allows.
            outbox: Says that there is something in the outbox.
        """
        self._store = store
        self._accounts = accounts
        self._tokens = tokens
        self._directory = directory
        self._live = live
        self._clock = clock
        self._ids = ids
        self._rules = rules
        self._outbox = outbox

    # ---------------------------------------------------------------- hosts

    async def create(self, caller: Caller, plan: MeetingPlan) -> MeetingView:
        """Creates a meeting whose host is the caller.

        Raises:
            DomainError: TIME_ZONE_UNKNOWN, MEETING_TYPE_NOT_SUPPORTED, INVALID_ARGUMENT, REQUEST_ID_REUSED,
                GUESTS_NOT_ALLOWED, PERMISSION_DENIED.
        """
        self._check_plan(caller, plan)
        now = self._clock.now()
        fingerprint = self._tokens.fingerprint(repr(plan))
        host = await self._accounts.find(caller.user_id)
        async with self._store.begin() as unit:
            if plan.request_id:
                kept = await unit.request_ids.claim(caller.subject, plan.request_id, fingerprint, now)
                if kept is not None:
                    return await self._view(await _owned(unit, caller, kept))
            meeting = Meeting(
                number="",
                host_id=caller.user_id,
                host_display_name=host.display_name if host else "",
                passcode=plan.passcode or self._ids.passcode(),
                type=plan.type,
                state=MeetingState.SCHEDULED,
                create_time=now,
                update_time=now,
                topic=plan.topic,
                scheduled_start_time=plan.scheduled_start_time,
                scheduled_duration=plan.scheduled_duration,
                time_zone=plan.time_zone or (host.time_zone if host else ""),
                settings=plan.settings,
            )
            meeting = await self._add(unit, meeting)
            if plan.request_id:
                await unit.request_ids.keep(caller.subject, plan.request_id, meeting.number)
        return MeetingView(meeting, 0, self._join_uri(meeting))

    async def get(self, caller: Caller, number: str) -> MeetingView:
        """Returns a meeting of the caller.

        Raises:
            DomainError: MEETING_NOT_FOUND.
        """
        async with self._store.read() as unit:
            meeting = await _owned(unit, caller, number)
        return await self._view(meeting)

    async def list(
        self, caller: Caller, state: MeetingState | None, after: Position | None, limit: int
    ) -> Sequence[MeetingView]:
        """Returns meetings of the caller, newest first."""
        async with self._store.read() as unit:
            meetings = await unit.meetings.list(caller.user_id, state, after, limit)
        counts = await self._counts(meetings)
        return [MeetingView(one, counts.get(one.number, 0), self._join_uri(one)) for one in meetings]

    async def update(self, caller: Caller, change: MeetingChange) -> MeetingView:
        """Changes a meeting of the caller.

        Raises:
            DomainError: MEETING_NOT_FOUND, MEETING_ENDED, ETAG_MISMATCH, TIME_ZONE_UNKNOWN, INVALID_ARGUMENT.
        """
        now = self._clock.now()
        fingerprint = self._tokens.fingerprint(repr(change))
        async with self._store.begin() as unit:
            if change.request_id:
                kept = await unit.request_ids.claim(caller.subject, change.request_id, fingerprint, now)
                if kept is not None:
                    return await self._view(await _owned(unit, caller, kept))
                await unit.request_ids.keep(caller.subject, change.request_id, change.number)
            before = await _owned(unit, caller, change.number, lock=True)
            _check_etag(before, change.etag)
            meeting = changed(before, now, **self._new_values(before, change))
            _check_values(meeting)
            await unit.meetings.save(meeting)
            await unit.outbox.add(MEETING_UPDATED, meeting.number)
        self._outbox.wake()
        return await self._view(meeting)

    async def delete(self, caller: Caller, number: str, etag: str) -> None:
        """Takes a meeting of the caller away, unless it is ACTIVE.

        Raises:
            DomainError: MEETING_NOT_FOUND, MEETING_STATE_CONFLICT, ETAG_MISMATCH.
        """
        now = self._clock.now()
        async with self._store.begin() as unit:
            meeting = await _owned(unit, caller, number, lock=True)
            _check_etag(meeting, etag)
            advance(meeting, MeetingEvent.DELETE, now)
            await unit.meetings.delete(number, now)
            await unit.outbox.add(MEETING_ENDED, number)
        self._outbox.wake()

    async def start(self, caller: Caller, number: str) -> MeetingView:
        """Begins a meeting of the caller; beginning an active one changes nothing.

        Raises:
            DomainError: MEETING_NOT_FOUND, MEETING_ENDED.
        """
        async with self._store.begin() as unit:
            await _owned(unit, caller, number)
            meeting = await self._directory.advance(unit, number, MeetingEvent.START)
        self._outbox.wake()
        return await self._view(meeting)

    async def end(self, caller: Caller, number: str) -> MeetingView:
        """Ends a meeting for everyone; ending an ended one changes nothing.

        Raises:
            DomainError: MEETING_NOT_FOUND, PERMISSION_DENIED.
        """
        async with self._store.begin() as unit:
            await _hosted(unit, caller, number)
            meeting = await self._directory.advance(unit, number, MeetingEvent.END, caller.participant_id)
        self._outbox.wake()
        return MeetingView(meeting, 0, self._join_uri(meeting))

    async def regenerate_passcode(self, caller: Caller, number: str, request_id: str) -> MeetingView:
        """Gives a meeting a new, longer passcode; the old one and what was counted against it are void.

        Raises:
            DomainError: MEETING_NOT_FOUND, MEETING_ENDED, PERMISSION_DENIED, REQUEST_ID_REUSED.
        """
        now = self._clock.now()
        fingerprint = self._tokens.fingerprint("regenerate passcode", number)
        async with self._store.begin() as unit:
            if request_id and await unit.request_ids.claim(caller.subject, request_id, fingerprint, now) is not None:
                return await self._view(await _hosted(unit, caller, number))
            before = await _hosted(unit, caller, number, lock=True)
            if request_id:
                await unit.request_ids.keep(caller.subject, request_id, number)
            meeting = changed(before, now, passcode=self._ids.passcode(LONG_PASSCODE_DIGITS))
            await unit.meetings.save(meeting)
            await unit.outbox.add(MEETING_UPDATED, number)
        self._outbox.wake()
        return await self._view(meeting)

    # ---------------------------------------------------------------- people about to join

    async def look_up(self, caller: Caller, number: str, passcode: str) -> MeetingSummary:
        """Says what somebody about to join needs to know; a host, and a guest of the meeting, need no passcode.

        Raises:
            DomainError: MEETING_NOT_FOUND, MEETING_ENDED, PASSCODE_WRONG, PASSCODE_ATTEMPTS_EXCEEDED.
        """
        meeting = await self._directory.require(number)
        is_host = bool(caller.user_id) and caller.user_id == meeting.host_id
        if not is_host and caller.meeting_id != number:
            await self._directory.check_passcode(meeting, passcode, caller.address)
        if meeting.state is MeetingState.ENDED:
            raise meeting_ended()
        counts = await self._counts([meeting])
        return MeetingSummary(meeting, counts.get(number, 0), is_host)

    async def admit_guest(self, number: str, passcode: str, address: str) -> Meeting:
        """Lets somebody without an account into a meeting.

        Raises:
            DomainError: MEETING_NOT_FOUND, PASSCODE_WRONG, PASSCODE_ATTEMPTS_EXCEEDED, MEETING_ENDED,
                GUESTS_NOT_ALLOWED.
        """
        meeting = await self._directory.require(number)
        await self._directory.check_passcode(meeting, passcode, address)
        if meeting.state is MeetingState.ENDED:
            raise meeting_ended()
        if not meeting.settings.guests_allowed:
            raise guests_not_allowed()
        return meeting

    # ---------------------------------------------------------------- steps

    def _check_plan(self, caller: Caller, plan: MeetingPlan) -> None:
        if plan.type not in _SUPPORTED:
            raise meeting_type_not_supported(plan.type.name)
        if caller.kind is CallerKind.GUEST:
            if not self._rules.guest_hosts:
                raise guests_not_allowed()
            if plan.type is not MeetingType.INSTANT:
                raise permission_denied("Guests may create instant meetings only. Sign in to plan others.")
        _check_schedule(plan.type, plan.scheduled_start_time)
        _check_texts(plan.topic, plan.time_zone)
        _check_settings(plan.settings)

    async def _add(self, unit: MeetingUnit, meeting: Meeting) -> Meeting:
        for _ in range(_NUMBER_TRIES):
            numbered = replace(meeting, number=self._ids.meeting_number())
            if await unit.meetings.add(numbered):
                return numbered
        message = f"{_NUMBER_TRIES} random meeting numbers in a row were taken"
        raise RuntimeError(message)

    def _new_values(self, before: Meeting, change: MeetingChange) -> dict[str, object]:
        values = dict(change.values)
        if values.get("passcode") == "":
            values["passcode"] = self._ids.passcode()
        if change.settings:
            values["settings"] = replace(before.settings, **change.settings)  # type: ignore[arg-type]
        return values

    async def _view(self, meeting: Meeting) -> MeetingView:
        counts = await self._counts([meeting])
        return MeetingView(meeting, counts.get(meeting.number, 0), self._join_uri(meeting))

    async def _counts(self, meetings: Sequence[Meeting]) -> Mapping[str, int]:
        active = [meeting.number for meeting in meetings if meeting.state is MeetingState.ACTIVE]
        return await self._live.counts(active) if active else {}

    def _join_uri(self, meeting: Meeting) -> str:
        return meeting.join_uri(self._rules.public_url)


async def _owned(unit: MeetingUnit, caller: Caller, number: str, *, lock: bool = False) -> Meeting:
    """A meeting that is not the caller's is answered as if it did not exist."""
    meeting = await unit.meetings.get(number, lock=lock)
    if meeting is None or meeting.host_id != caller.user_id:
        raise meeting_not_found()
    return meeting


async def _hosted(unit: MeetingUnit, caller: Caller, number: str, *, lock: bool = False) -> Meeting:
    """A meeting whose host calls, by user token or by the token of the participant they are in it.

    The contract lets no other participant get here.
    """
    if caller.kind is not CallerKind.PARTICIPANT:
        return await _owned(unit, caller, number, lock=lock)
    meeting = await unit.meetings.get(number, lock=lock) if caller.meeting_id == number else None
    if meeting is None:
        raise meeting_not_found()
    return meeting


def _check_etag(meeting: Meeting, etag: str) -> None:
    if etag and etag != meeting.etag:
        raise etag_mismatch()


def _check_values(meeting: Meeting) -> None:
    _check_schedule(meeting.type, meeting.scheduled_start_time)
    _check_texts(meeting.topic, meeting.time_zone)
    _check_settings(meeting.settings)


def _check_settings(settings: MeetingSettings) -> None:
    # Nobody can be let in yet; a waiting room that lets everybody pass would be worse than none.
    if settings.waiting_room:
        raise invalid_argument("meeting.settings.waiting_room", "is not available yet")


def _check_schedule(meeting_type: MeetingType, start: datetime | None) -> None:
    if meeting_type is MeetingType.UNKNOWN:
        return  # a newer version knows its rules
    if meeting_type is MeetingType.INSTANT and start is not None:
        raise invalid_argument("meeting.scheduled_start_time", "an instant meeting has none")
    if meeting_type is not MeetingType.INSTANT and start is None:
        raise invalid_argument("meeting.scheduled_start_time", "is required for this type of meeting")


def _check_texts(topic: str, time_zone: str) -> None:
    if topic:
        check_shown("meeting.topic", topic)
    if time_zone and not is_time_zone(time_zone):
        raise time_zone_unknown("meeting.time_zone")
