"""Which control-plane processes are alive, and which of them does what.

Loops over meetings or nodes are divided among the processes by rendezvous hashing: when one comes or goes, only its own
share changes hands. The division saves work and decides nothing: what two do at once comes to the same as one, and what
one leaves lying is done by another.
"""

from __future__ import annotations

import hashlib
import uuid
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

import structlog

from control_plane.kernel.clock import Clock
from control_plane.kernel.errors import DomainError
from control_plane.platform.redis.client import RedisClient, milliseconds, store_failures

BEAT_SECONDS: Final = 1.0
EXPIRY: Final = timedelta(seconds=4)
"""A process that has not been heard of for so long is taken to be dead."""
_KEY: Final = "parley:replicas"
_FORGET: Final = timedelta(minutes=1)

_log = structlog.get_logger(__name__)


class Replicas:
    """The processes that are alive, in Redis, as this one last saw them.

    Attributes:
        id: Names this process.
        changes: Grows with each change that this process has seen.
    """

    def __init__(self, client: RedisClient, clock: Clock) -> None:
        self.id = str(uuid.uuid4())
        self.changes = 0
        self._client = client
        self._clock = clock
        self._alive = frozenset({self.id})
        self._left = False

    @property
    def alive(self) -> frozenset[str]:
        """All of them; this one among them until it leaves."""
        return self._alive

    async def beat(self) -> None:
        """Says that this process is alive, and looks which others are.

        Raises:
            DomainError: STORE_UNAVAILABLE; what was seen before holds.
        """
        now = self._clock.now()
        with store_failures():
            pipe = self._client.pipeline(transaction=False)
            if not self._left:
                pipe.zadd(_KEY, {self.id: milliseconds(now)})
                pipe.expire(_KEY, _FORGET)
            pipe.zremrangebyscore(_KEY, "-inf", milliseconds(now - _FORGET))
            # One whose clock is far ahead is no more to be believed than one that is late.
            pipe.zrangebyscore(_KEY, f"({milliseconds(now - EXPIRY)}", milliseconds(now + EXPIRY))
            alive = frozenset((await pipe.execute())[-1])
        alive = alive - {self.id} if self._left else alive | {self.id}
        if alive != self._alive:
            _log.info(
                "replicas.changed", alive=len(alive), came=len(alive - self._alive), went=len(self._alive - alive)
            )
            self._alive = alive
            self.changes += 1

    async def leave(self) -> None:
        """Gives this process's share to the others, at once instead of after its time."""
        self._left = True
        with suppress(DomainError), store_failures():
            await self._client.zrem(_KEY, self.id)

    def mine(self, item: str) -> bool:
        """Whether a meeting or a node is in this process's share. Everything is in that of one that is alone."""
        if self._alive <= {self.id}:
            return True
        return max(self._alive, key=lambda replica: _weight(replica, item)) == self.id


class Share:
    """What of a loop's items this process does: its own, and what others have left lying.

    Args:
        replicas: Who is alive.
        clock: The clock.
        patience: For how long an item waits for the process whose it is.
    """

    def __init__(self, replicas: Replicas, clock: Clock, patience: timedelta) -> None:
        self._replicas = replicas
        self._clock = clock
        self._patience = patience
        self._since: dict[str, datetime] = {}
        self._own, self._others = _Rounds(), _Rounds()

    def take(self, waiting: Iterable[str], most: int) -> Sequence[str]:
        """Returns at most so many of the items that wait now, and takes note of the others."""
        now = self._clock.now()
        own, left = [], []
        since = {item: self._since.get(item, now) for item in waiting}
        self._since = since
        for item, first in since.items():
            if self._replicas.mine(item):
                own.append(item)
            elif now - first >= self._patience:
                left.append(item)
        chosen = self._own.next(own, most)
        return [*chosen, *self._others.next(left, most - len(chosen))]


class _Rounds:
    """Goes round items of which there are too many for one turn, so that none is starved by those that stay."""

    def __init__(self) -> None:
        self._last = ""

    def next(self, items: Sequence[str], most: int) -> Sequence[str]:
        if len(items) <= most:
            return items
        ordered = sorted(items)
        place = bisect_right(ordered, self._last)
        chosen = [*ordered[place:], *ordered[:place]][:most]
        self._last = chosen[-1] if chosen else self._last
        return chosen


def _weight(replica: str, item: str) -> bytes:
    return hashlib.blake2b(f"{replica} {item}".encode(), digest_size=8).digest()
