"""The live state of meetings, and the log of what happens in them."""

from __future__ import annotations

from dataclasses import dataclass

from control_plane.kernel.clock import Clock
from control_plane.log.commands import Committer
from control_plane.log.reader import EventLog
from control_plane.log.signs import SignsOfLife
from control_plane.log.state import LiveState
from control_plane.log.times import SignalingTimes
from control_plane.platform.capability import Capability, House, Part, Task
from control_plane.platform.quarantine import Quarantine
from control_plane.platform.redis.capability import Redis
from control_plane.platform.telemetry import current_traceparent


@dataclass(frozen=True, slots=True)
class LogLimits:
    """How much is kept.

    Attributes:
        watcher_queue: Entries that a watcher may be behind before it has to begin anew.
        max_log: Entries of a meeting's log.
    """

    watcher_queue: int = 256
    max_log: int = 10_000


def _build(house: House) -> Part:
    redis, clock, quarantine = house.need(Redis), house.need(Clock), house.need(Quarantine)
    times = house.provide(SignalingTimes, SignalingTimes)
    limits = house.provide(LogLimits, LogLimits)
    committer = Committer(redis.client, clock, current_traceparent, max_log=limits.max_log)
    signs = SignsOfLife(round(times.presence * 1000), round(times.silent * 1000))
    house.provide(LiveState, lambda: LiveState(redis.client, clock, committer, signs, quarantine))
    log = house.provide(EventLog, lambda: EventLog(redis.raw, redis.blocking, quarantine, queue=limits.watcher_queue))

    async def shut_down() -> None:
        log.shut_down()

    # Without this task the watchers of this process hear nothing.
    return Part(tasks=[Task("event log", log.read, 0.0, essential=True)], drain=[shut_down])


CAPABILITY = Capability("log", _build)
