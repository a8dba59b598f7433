"""What operators can do with records that were set aside: have them tried again at once, or take them away for good."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from control_plane.history.service import StayKeeper
from control_plane.log.participant import LeaveReason
from control_plane.log.state import LiveState
from control_plane.platform.outbox import OutboxReader
from control_plane.platform.quarantine import Quarantine
from control_plane.platform.set_aside import RecordKind, SetAside, parse_id, record_not_found
from control_plane.presence.service import Presence

_log = structlog.get_logger(__name__)
_MOST: Final = 1_000

Treatment = Callable[[str], Awaitable[object]]
"""Does something with the record that has a key."""


@dataclass(frozen=True, slots=True)
class Treatments:
    """What can be done with the records of one kind."""

    retry: Treatment
    drop: Treatment


class QuarantineKeeper:
    """The use cases of operators."""

    def __init__(
        self, quarantine: Quarantine, outbox: OutboxReader, treatments: Mapping[RecordKind, Treatments]
    ) -> None:
        self._quarantine = quarantine
        self._outbox = outbox
        self._treatments = treatments

    async def list(self) -> Sequence[SetAside]:
        """Returns everything that is set aside, by id.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        found = [*await self._quarantine.records(), *await self._outbox.set_aside(_MOST)]
        return sorted(found, key=lambda record: record.id)

    async def retry(self, name: str) -> None:
        """Has a record tried again at once.

        Raises:
            DomainError: RECORD_NOT_FOUND, STORE_UNAVAILABLE.
        """
        kind, key = await self._find(name)
        await self._quarantine.forget(kind, key)
        await self._treatments[kind].retry(key)
        _log.info("record tried again", kind=kind.value, record=key)

    async def drop(self, name: str) -> None:
        """Takes a record away for good.

        Raises:
            DomainError: RECORD_NOT_FOUND, STORE_UNAVAILABLE.
        """
        kind, key = await self._find(name)
        await self._treatments[kind].drop(key)
        await self._quarantine.forget(kind, key)
        _log.info("record dropped", kind=kind.value, record=key)

    async def _find(self, name: str) -> tuple[RecordKind, str]:
        found = parse_id(name)
        if name not in {record.id for record in await self.list()}:
            raise record_not_found()
        return found


def live_treatments(
    state: LiveState, presence: Presence, stays: StayKeeper, outbox: OutboxReader
) -> Mapping[RecordKind, Treatments]:
    """Returns what can be done with the records of each kind."""

    async def read_again(_key: str) -> None:
        """It is read again whenever it is met; that it is forgotten here is enough."""

    async def drop_event(key: str) -> None:
        meeting_id, _, position = key.partition("/")
        await state.drop_event(meeting_id, position)

    async def drop_participant(key: str) -> None:
        meeting_id, _, participant_id = key.partition("/")
        await state.leave(meeting_id, participant_id, LeaveReason.REMOVED)

    async def look_now(meeting_id: str) -> None:
        await state.look_soon(meeting_id, now=True)

    async def write_again(key: str) -> None:
        await stays.flush_soon(key.partition("/")[0])

    async def drop_stay(key: str) -> None:
        meeting_id, _, position = key.partition("/")
        await stays.drop(meeting_id, position)

    return {
        RecordKind.OUTBOX: Treatments(outbox.retry, outbox.drop),
        RecordKind.EVENT: Treatments(read_again, drop_event),
        RecordKind.PARTICIPANT: Treatments(read_again, drop_participant),
        RecordKind.MEETING: Treatments(look_now, presence.end),
        RecordKind.STAY: Treatments(write_again, drop_stay),
        RecordKind.NODE_EVENT: Treatments(read_again, read_again),
    }
