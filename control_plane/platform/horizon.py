"""When silence may be judged: it means nothing while nobody listened."""

from __future__ import annotations

from datetime import timedelta

from control_plane.kernel.clock import Clock
from control_plane.platform.redis.client import milliseconds


class Horizon:
    """Until when silence may be judged.

    Signs of life reach Redis through this process and its sisters. After a start, a stall or an outage of Redis they
    are late through no fault of their senders, so nothing is judged until they have had time to come in.

    Args:
        clock: The clock.
        grace: Seconds that senders get to be heard again.
        stall: Seconds between two looks from which on this process counts as having been away.
    """

    def __init__(self, clock: Clock, grace: float, stall: float = 1.0) -> None:
        self._clock = clock
        self._grace = timedelta(seconds=grace)
        self._stall = timedelta(seconds=stall)
        self._since = clock.now()
        self._last_look = self._since

    def looked(self) -> None:
        """Somebody has looked just now."""
        now = self._clock.now()
        if now - self._last_look > self._stall:
            self._since = now
        self._last_look = now

    def blinded(self) -> None:
        """Nobody could look."""
        self._since = self._last_look = self._clock.now()

    @property
    def steady(self) -> bool:
        """Whether silence may be judged."""
        now = self._clock.now()
        return now - self._since >= self._grace and now - self._last_look <= self._stall

    def before_ms(self) -> int:
        """Leases that end before this are void (those that were ended on purpose end before 0)."""
        return milliseconds(self._clock.now()) if self.steady else 0
