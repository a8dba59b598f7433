"""Which replica listens to which node's events, and up to where they are applied, in Redis."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final

from control_plane.log.position import NodePosition
from control_plane.platform.redis.client import RedisClient, Script, answer, store_failures

_PREFIX: Final = "parley:{placement}:"
_LEASE_MS: Final = 3_000
_POSITION_SECONDS: Final = 24 * 3600
_HOLD: Final = """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_LET_GO: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0
"""


class ConsumerLeases:
    """Implements `ConsumerLeases`; a lease of a process that dies runs out by itself within 3 s."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._owner = str(uuid.uuid4())
        self._hold = Script(client, _HOLD)
        self._let_go = Script(client, _LET_GO)

    async def hold(self, node_id: str) -> bool:
        """Takes or renews the lease; False: another replica has it."""
        return bool(await self._hold([f"{_PREFIX}consumer:{node_id}"], [self._owner, _LEASE_MS]))

    async def free(self, node_ids: Sequence[str]) -> Sequence[str]:
        """Returns those that no replica has the lease of."""
        if not node_ids:
            return []
        with store_failures():
            owners = await answer(self._client.mget([f"{_PREFIX}consumer:{node_id}" for node_id in node_ids]))
        return [node_id for node_id, owner in zip(node_ids, owners, strict=True) if owner is None]

    async def let_go(self, node_id: str) -> None:
        """Gives the lease back, if it is held here."""
        await self._let_go([f"{_PREFIX}consumer:{node_id}"], [self._owner])

    async def position(self, node_id: str) -> NodePosition | None:
        """Returns up to where events were applied."""
        with store_failures():
            text: str | None = await answer(self._client.get(f"{_PREFIX}position:{node_id}"))
        if text is None:
            return None
        instance, _, sequence = text.rpartition(":")
        # What a newer version wrote in another form is no position: the node's state is read anew.
        return NodePosition(instance, int(sequence)) if sequence.isdecimal() else None

    async def save(self, node_id: str, position: NodePosition) -> None:
        """Notes up to where events were applied."""
        with store_failures():
            text = f"{position.instance_id}:{position.sequence}"
            await answer(self._client.set(f"{_PREFIX}position:{node_id}", text, ex=_POSITION_SECONDS))
