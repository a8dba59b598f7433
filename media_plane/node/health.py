"""Says by the process's gRPC health whether any shard serves: a node of which none does can hold no call."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from grpc_kit.server import GrpcServer
from media_plane.node.engine_port import EnginePort

log = structlog.get_logger(__name__)

_LOOK_SECONDS: Final = 0.5


class EngineHealth:
    """Carries the engine's health over to the server's."""

    def __init__(self, engine: EnginePort, server: GrpcServer) -> None:
        self._engine = engine
        self._server = server
        self._serves = True

    async def run(self) -> None:
        """Look for as long as the node runs."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Say how it is now, if that is new."""
        serves = self._engine.serving_shards > 0
        if serves != self._serves:
            log.warning("health.changed", serving=serves)
            await self._server.set_health("", healthy=serves)
            self._serves = serves
