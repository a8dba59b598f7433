"""Rooms of meetings on media nodes."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from control_plane.kernel.clock import Clock
from control_plane.log.state import LiveState
from control_plane.nodes.control import MediaNodes
from control_plane.nodes.detector import FailureDetector
from control_plane.nodes.liveness import Liveness, MoveSignal
from control_plane.nodes.model import Timing
from control_plane.nodes.registry import NodeRegistry
from control_plane.platform.background import Background
from control_plane.platform.capability import Capability, House, Part, Task
from control_plane.platform.horizon import Horizon
from control_plane.platform.observer import Observer
from control_plane.platform.quarantine import Quarantine
from control_plane.platform.redis.capability import Redis
from control_plane.platform.replicas import Replicas, Share
from control_plane.rooms.leases import RoomLeases
from control_plane.rooms.live import LiveRooms
from control_plane.rooms.rpc import RoomAllocationServicer
from control_plane.rooms.selectors import Selector, WeightedSelector
from control_plane.rooms.service import Rooms

_ROOM_TICK: Final = 0.25
_PATIENCE: Final = timedelta(seconds=1)
"""People wait for their rooms, so not long for whoever should move them."""


def _build(house: House) -> Part:
    state = house.need(LiveState)
    clock, registry, signal = house.need(Clock), house.need(NodeRegistry), house.need(MoveSignal)
    background, detector = house.need(Background), house.need(FailureDetector)
    selector = house.provide(Selector, WeightedSelector)
    leases = house.provide(
        RoomLeases,
        lambda: RoomLeases(
            house.need(Redis).client, clock, house.need(Timing), registry, selector, house.need(Horizon)
        ),
    )
    rooms = house.provide(
        Rooms,
        lambda: Rooms(
            leases=leases,
            nodes=house.need(MediaNodes),
            liveness=house.need(Liveness),
            signal=signal,
            state=state,
            live=house.provide(LiveRooms, lambda: LiveRooms(state)),
            observer=house.need(Observer),
            background=background,
            quarantine=house.need(Quarantine),
            share=Share(house.need(Replicas), clock, _PATIENCE),
        ),
    )

    async def keep() -> None:
        """Notices lost nodes and moves their rooms; returns when there is something to move, or after a tick."""
        await detector.look()
        await rooms.move_void()
        await signal.wait(_ROOM_TICK)

    servicer = RoomAllocationServicer(leases, registry, rooms, background)
    return Part(servicers={"parley.allocation.v1.RoomAllocationService": servicer}, tasks=[Task("rooms", keep, 0.0)])


CAPABILITY = Capability("rooms", _build)
