"""Room leases in Redis: which node a room is on, under which fencing epoch, and which joins are under way to it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from control_plane.kernel.clock import Clock
from control_plane.nodes.model import NodeStatus, Timing
from control_plane.nodes.registry import PREFIX, NodeRegistry
from control_plane.platform.horizon import Horizon
from control_plane.platform.redis.client import (
    RedisClient,
    Script,
    answer,
    from_milliseconds,
    milliseconds,
    store_failures,
)
from control_plane.rooms.errors import EpochMismatchError, NoNodeAvailableError
from control_plane.rooms.model import Placement, PlacementRequest
from control_plane.rooms.selectors.base import Selector

_ATTEMPTS: Final = 8
_UNCHECKED: Final = -1
_MOST_VOID: Final = 20_000
_TOMBSTONE_MS: Final = 600_000
_INVALIDATE: Final = """
if redis.call('HGET', KEYS[1] .. 'lease:' .. ARGV[1], 'epoch') == ARGV[2] then
  redis.call('HSET', KEYS[1] .. 'lease:' .. ARGV[1], 'void', '1')
  redis.call('ZADD', KEYS[1] .. 'leases', 'XX', '-1', ARGV[1])
end
"""


@dataclass(frozen=True, slots=True)
class Released:
    """A placement that has ended: where the room is to be closed."""

    room_id: str
    node_id: str
    control_address: str
    epoch: int


class RoomLeases:
    """Places rooms, looks them up and releases them."""

    def __init__(
        self,
        client: RedisClient,
        clock: Clock,
        timing: Timing,
        registry: NodeRegistry,
        selector: Selector,
        horizon: Horizon,
    ) -> None:
        self._client = client
        self._clock = clock
        self._timing = timing
        self._registry = registry
        self._selector = selector
        self._horizon = horizon
        self._place = Script.load(client, "control_plane.rooms", "place")
        self._release = Script.load(client, "control_plane.rooms", "release")
        self._invalidate = Script(client, _INVALIDATE)
        # Choosing and writing are two steps. Within a process they take turns; between processes the script notices.
        self._turn = asyncio.Lock()

    async def find(self, room_id: str) -> Placement | None:
        """Returns a room's placement while it is good.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        return await self._try(room_id, "", None)

    async def place(self, request: PlacementRequest, *, session_id: str = "") -> Placement:
        """Returns a room's placement, or makes one.

        Args:
            request: The room and what it prefers.
            session_id: The session that is about to be opened there; it counts as load until a report covers it.

        Raises:
            DomainError: NO_NODE_AVAILABLE, STORE_UNAVAILABLE.
        """
        held = await self._try(request.room_id, session_id, None)
        if held is not None:
            return held
        async with self._turn:
            for attempt in range(_ATTEMPTS):
                node = self._selector.select(request, await self._registry.nodes())
                if node is None:
                    raise NoNodeAvailableError
                # Where many replicas place at once, a choice from a load of a moment ago is better than none.
                patient = attempt < _ATTEMPTS // 2
                placed = await self._try(request.room_id, session_id, node, checked=patient)
                if placed is not None:
                    return placed
        raise NoNodeAvailableError

    async def settle(self, node_id: str, session_id: str) -> None:
        """A join that was placed will open no session after all.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        with store_failures():
            await answer(self._client.zrem(f"{PREFIX}pending:{node_id}", session_id))

    async def epoch(self, room_id: str) -> int:
        """Returns the epoch of a room's last placement, whether it is good or void; 0: it has none.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        with store_failures():
            text: str | None = await answer(self._client.hget(f"{PREFIX}lease:{room_id}", "epoch"))
        return int(text or 0)

    async def release(self, room_id: str, *, epoch: int = 0) -> Released | None:
        """Ends a room's placement; None: it had none.

        Raises:
            DomainError: EPOCH_MISMATCH when `epoch` is given and another one is in force; STORE_UNAVAILABLE.
        """
        status, node, _, address, current = await self._release([PREFIX], [room_id, str(epoch), _TOMBSTONE_MS])
        if status == "mismatch":
            raise EpochMismatchError(int(current))
        return Released(room_id, node, address, int(current)) if status == "released" else None

    async def invalidate(self, room_id: str, epoch: int) -> None:
        """A room's node serves it no more: it is to be placed anew.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        await self._invalidate([PREFIX], [room_id, str(epoch)])

    async def void_rooms(self) -> Sequence[str]:
        """Returns rooms whose lease is void: run out, or their node is lost.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        with store_failures():
            rooms: list[str] = await answer(
                self._client.zrange(
                    f"{PREFIX}leases", "-inf", f"({self._horizon.before_ms()}", byscore=True, offset=0, num=_MOST_VOID
                )
            )
        return rooms

    async def _try(
        self, room_id: str, session_id: str, node: NodeStatus | None, *, checked: bool = True
    ) -> Placement | None:
        now = self._clock.now()
        lease_end = milliseconds(now + timedelta(seconds=self._timing.opening))
        status, node_id, instance, address, epoch, ends = await self._place(
            [PREFIX],
            [
                room_id,
                str(milliseconds(now)),
                str(self._horizon.before_ms()),
                str(lease_end),
                session_id,
                node.registration.node_id if node else "",
                node.registration.instance_id if node else "",
                str(node.load if node and checked else _UNCHECKED),
            ],
        )
        if status not in {"held", "placed"}:
            return None
        return Placement(
            room_id, node_id, instance, address, int(epoch), from_milliseconds(ends), fresh=status == "placed"
        )
