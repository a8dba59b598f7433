"""Who was in which meeting."""

from __future__ import annotations

from control_plane.history.cleaning import RULES
from control_plane.history.live import StayOutbox
from control_plane.history.model import StayRepository
from control_plane.history.service import StayKeeper
from control_plane.history.store import Stays
from control_plane.platform.capability import Capability, House, Part
from control_plane.platform.postgres import cleaning
from control_plane.platform.postgres.database import Database
from control_plane.platform.quarantine import Quarantine
from control_plane.platform.redis.capability import Redis


def _build(house: House) -> Part:
    quarantine = house.need(Quarantine)
    outbox = house.provide(StayOutbox, lambda: StayOutbox(house.need(Redis).client, quarantine))
    repository = house.provide(StayRepository, lambda: Stays(house.need(Database)))
    house.provide(cleaning.Rules, cleaning.Rules).add(*RULES)
    house.provide(StayKeeper, lambda: StayKeeper(outbox, repository, quarantine))
    return Part()


CAPABILITY = Capability("history", _build)
