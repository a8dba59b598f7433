"""A control plane inside the test's process, on the real stores, with a clock that the test can set forward."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from grpc import aio

from control_plane.app import build
from control_plane.settings import ControlPlaneSettings
from grpc_kit.channel import open_channel
from grpc_kit.errors import ErrorDetails, read_error
from parley.identity.v1 import identity_service_pb2 as identity
from parley.identity.v1 import identity_service_pb2_grpc
from parley.meeting.v1 import meeting_pb2, meeting_service_pb2_grpc
from parley.meeting.v1 import meeting_service_pb2 as meetings
from tests.support.clock import SteppedClock

OPERATOR_TOKEN = "operator-secret"
NODE_TOKEN = "node-secret"
PASSWORD = "correct horse battery"


@dataclass
class Running:
    """A control plane that serves.

    Attributes:
        port: Its port on 127.0.0.1.
        clock: Its clock.
        settings: What it was told.
        channel: A channel without a token.
    """

    port: int
    clock: SteppedClock
    settings: ControlPlaneSettings
    channel: aio.Channel

    @property
    def accounts(self) -> identity_service_pb2_grpc.IdentityServiceAsyncStub:
        """Stub of IdentityService."""
        return identity_service_pb2_grpc.IdentityServiceStub(self.channel)

    @property
    def plans(self) -> meeting_service_pb2_grpc.MeetingServiceAsyncStub:
        """Stub of MeetingService."""
        return meeting_service_pb2_grpc.MeetingServiceStub(self.channel)

    async def sign_up(self, name: str = "Ada") -> identity.SignUpResponse:
        """Makes an account."""
        request = identity.SignUpRequest(
            email=f"{name.lower()}-{uuid4().hex[:8]}@example.org", password=PASSWORD, display_name=name
        )
        return await self.accounts.SignUp(request)

    async def create(self, token: str, **fields: Any) -> meeting_pb2.Meeting:  # noqa: ANN401 - fields of Meeting
        """Makes a meeting."""
        request = meetings.CreateMeetingRequest(meeting=meeting_pb2.Meeting(**fields))
        return (await self.plans.CreateMeeting(request, metadata=bearer(token))).meeting


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


async def refusal(call: Any) -> ErrorDetails:  # noqa: ANN401 - any stub's call
    """Awaits a call that must fail, and returns what it says."""
    with pytest.raises(aio.AioRpcError) as raised:
        await call
    return read_error(raised.value)


@asynccontextmanager
async def running(database_url: str, redis_url: str, folder: Path, **settings: Any) -> AsyncIterator[Running]:  # noqa: ANN401
    """Runs a control plane."""
    told = ControlPlaneSettings(
        control_plane_address="127.0.0.1:0",
        database_url=database_url,  # type: ignore[arg-type]  # pydantic makes a SecretStr of it
        redis_url=redis_url,  # type: ignore[arg-type]
        signing_key_file=folder / "signing-key.pem",
        operator_token=OPERATOR_TOKEN,  # type: ignore[arg-type]
        node_token=NODE_TOKEN,  # type: ignore[arg-type]
        **settings,
    )
    clock = SteppedClock()
    application = build(told, clock=clock)
    port = await application.start()
    channel = open_channel(f"127.0.0.1:{port}")
    try:
        yield Running(port, clock, told, channel)
    finally:
        await channel.close()
        await application.stop(0)
