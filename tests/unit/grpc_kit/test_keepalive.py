"""Our clients' keepalive is what our servers allow."""

import asyncio

import pytest
from grpc import ChannelConnectivity
from grpc_health.v1 import health_pb2, health_pb2_grpc

from grpc_kit.channel import CHANNEL_OPTIONS, open_channel
from grpc_kit.server import SERVER_OPTIONS, GrpcServer

_FASTER = 20
"""The intervals are shortened by this, on both sides alike: gRPC pings once a second at most."""
_PINGS_SECONDS = 4.0
"""A server that does not want them goes away after the third."""


def _faster(options: tuple[tuple[str, int], ...]) -> list[tuple[str, int]]:
    return [(name, value // _FASTER) for name, value in options if "keepalive_time_ms" in name or "interval" in name]


async def test_an_idle_channel_stays_connected() -> None:
    server = GrpcServer([], interceptors=[], options=_faster(SERVER_OPTIONS))
    port = await server.start("127.0.0.1:0")
    channel = open_channel(f"127.0.0.1:{port}", options=_faster(CHANNEL_OPTIONS))
    try:
        await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert channel.get_state() is ChannelConnectivity.READY
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(channel.wait_for_state_change(ChannelConnectivity.READY), _PINGS_SECONDS)
    finally:
        await channel.close()
        await server.drain(0)
