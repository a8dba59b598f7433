"""Connections to Redis, which processes are alive, and what is set aside."""

from __future__ import annotations

from dataclasses import dataclass

from control_plane.kernel.clock import Clock
from control_plane.platform.capability import Capability, House, Part, Task
from control_plane.platform.observer import Observer
from control_plane.platform.quarantine import Quarantine
from control_plane.platform.redis.attempts import Attempts
from control_plane.platform.redis.client import BLOCK_MS, RedisClient, connect
from control_plane.platform.redis.quarantine import QuarantineStore
from control_plane.platform.replicas import BEAT_SECONDS, Replicas
from control_plane.platform.telemetry import REPLICAS
from control_plane.settings import ControlPlaneSettings

_QUARANTINE_TICK = 1.0


@dataclass(frozen=True, slots=True)
class Redis:
    """Connections to Redis.

    Attributes:
        client: For everything that answers at once.
        raw: The same, with answers that are bytes.
        blocking: For what waits until there is something to read, as bytes.
    """

    client: RedisClient
    raw: RedisClient
    blocking: RedisClient


def _build(house: House) -> Part:
    url = house.need(ControlPlaneSettings).redis_url.get_secret_value()
    clock = house.need(Clock)
    redis = house.provide(
        Redis,
        lambda: Redis(
            connect(url),
            connect(url, decode=False),
            connect(url, command_timeout=BLOCK_MS / 1000 + 2, retries=0, decode=False),
        ),
    )
    house.provide(Attempts, lambda: Attempts(redis.client, clock))
    quarantine = house.provide(
        Quarantine, lambda: Quarantine(QuarantineStore(redis.client, clock), clock, house.need(Observer))
    )

    replicas = house.provide(Replicas, lambda: Replicas(redis.client, clock))

    async def beat() -> None:
        await replicas.beat()
        REPLICAS.set(len(replicas.alive))

    async def close() -> None:
        await redis.client.aclose()
        await redis.raw.aclose()
        await redis.blocking.aclose()

    return Part(
        tasks=[Task("replicas", beat, BEAT_SECONDS), Task("quarantine", quarantine.flush, _QUARANTINE_TICK)],
        drain=[replicas.leave],
        stop=[replicas.leave],
        close=[close],
    )


CAPABILITY = Capability("platform.redis", _build)
