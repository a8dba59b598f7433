"""Records that were set aside, in the hands of operators."""

from __future__ import annotations

from collections import Counter
from typing import Final

from control_plane.history.service import StayKeeper
from control_plane.log.state import LiveState
from control_plane.platform.capability import Capability, House, Part, Task
from control_plane.platform.outbox import OutboxReader
from control_plane.platform.quarantine import Quarantine
from control_plane.platform.set_aside import RecordKind
from control_plane.presence.service import Presence
from control_plane.quarantine.gauges import show_quarantine
from control_plane.quarantine.rpc import QuarantineServicer
from control_plane.quarantine.service import QuarantineKeeper, live_treatments

_CENSUS_TICK: Final = 5.0


def _build(house: House) -> Part:
    quarantine, outbox = house.need(Quarantine), house.need(OutboxReader)
    treatments = live_treatments(house.need(LiveState), house.need(Presence), house.need(StayKeeper), outbox)
    keeper = house.provide(QuarantineKeeper, lambda: QuarantineKeeper(quarantine, outbox, treatments))

    async def count() -> None:
        kinds = Counter(record.kind for record in await quarantine.records())
        show_quarantine({kind.value: kinds[kind] for kind in RecordKind if kind is not RecordKind.OUTBOX})

    return Part(
        servicers={"parley.operations.v1.QuarantineService": QuarantineServicer(keeper)},
        tasks=[Task("census of set-aside records", count, _CENSUS_TICK)],
    )


CAPABILITY = Capability("quarantine", _build)
