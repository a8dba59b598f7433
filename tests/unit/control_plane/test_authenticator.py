from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from control_plane.application.callers import Caller, CallerKind
from control_plane.domain.errors import DomainError
from control_plane.domain.ids import SystemIds
from control_plane.domain.participant import ParticipantRole
from control_plane.domain.user import UserSession
from control_plane.rpc.access import ACCESS, TokenUse
from control_plane.rpc.authenticator import TableAuthenticator
from control_plane.rpc.tokens import JwtTokens
from parley.allocation.v1 import room_allocation_service_pb2
from parley.identity.v1 import identity_service_pb2
from parley.meeting.v1 import meeting_service_pb2
from parley.node.v1 import node_service_pb2
from parley.operations.v1 import quarantine_service_pb2
from parley.sfu.v1 import sfu_control_service_pb2
from parley.signaling.v1 import signaling_service_pb2
from tests.support.clock import FakeClock

CONTRACTS = [
    room_allocation_service_pb2,
    identity_service_pb2,
    meeting_service_pb2,
    node_service_pb2,
    quarantine_service_pb2,
    sfu_control_service_pb2,
    signaling_service_pb2,
]
METHODS = [
    f"/{service.full_name}/{method.name}"
    for contract in CONTRACTS
    for service in contract.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
USER = "3f0c8d4e-6a3b-4e0e-9a5c-1f2e3d4c5b6a"
SESSION = "aa0c8d4e-6a3b-4e0e-9a5c-1f2e3d4c5b6a"
MEETING = "12345678901"


class OneSession:
    """A store that knows one session."""

    def __init__(self, session: UserSession | None) -> None:
        self.session = session
        self.sessions = self

    async def get(self, session_id: str) -> UserSession | None:
        return self.session if self.session and self.session.id == session_id else None

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Any]:
        yield self

    read = begin


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        now = self.clock.now()
        self.tokens = JwtTokens(Ed25519PrivateKey.generate(), self.clock, SystemIds())
        self.store = OneSession(UserSession(SESSION, USER, "test", now, now, now + timedelta(days=1)))
        secrets = {CallerKind.OPERATOR: "operator-secret", CallerKind.NODE: "node-secret"}
        self.authenticator = TableAuthenticator(self.tokens, self.store, self.clock, secrets=secrets)

    def token(self, kind: CallerKind) -> str | None:
        user = Caller(kind, f"users/{USER}", user_id=USER, session_id=SESSION)
        match kind:
            case CallerKind.NOBODY:
                return None
            case CallerKind.ACCOUNT | CallerKind.GUEST:
                return self.tokens.access(user).text
            case CallerKind.MEETING_GUEST:
                return self.tokens.access(Caller(kind, "guests/1", meeting_id=MEETING)).text
            case CallerKind.PARTICIPANT:
                return self.tokens.issue(MEETING, USER, ParticipantRole.HOST).text
            case CallerKind.OPERATOR:
                return "operator-secret"
            case CallerKind.NODE:
                return "node-secret"

    async def refusal(self, method: str, token: str | None) -> str:
        with pytest.raises(DomainError) as raised:
            await self.authenticator.authenticate(method, token, "peer")
        return raised.value.reason


@pytest.fixture
def world() -> World:
    return World()


def test_every_rpc_of_all_contracts_has_a_row_and_no_row_is_left_over() -> None:
    assert len(METHODS) > 30
    ours = {method for method in ACCESS if method.startswith("/parley.")}
    assert ours == set(METHODS)


@pytest.mark.parametrize("method", METHODS)
async def test_each_rpc_takes_the_kinds_of_its_row_and_no_other(world: World, method: str) -> None:
    access = ACCESS[method]
    for kind in CallerKind:
        token = world.token(kind)
        takes = access.token is TokenUse.IGNORED or kind in access.kinds
        if kind is CallerKind.NOBODY:
            takes = access.token is not TokenUse.REQUIRED
        if takes:
            caller = await world.authenticator.authenticate(method, token, "peer")
            assert caller.kind is (CallerKind.NOBODY if access.token is TokenUse.IGNORED else kind)
            assert caller.address == "peer"
        else:
            expected = "TOKEN_MISSING" if token is None else "TOKEN_KIND_NOT_ALLOWED"
            assert await world.refusal(method, token) == expected


ME = "/parley.identity.v1.IdentityService/GetCurrentUser"
LOOK_UP = "/parley.meeting.v1.MeetingService/LookUpMeeting"
SIGN_IN = "/parley.identity.v1.IdentityService/SignIn"


async def test_a_revoked_session_stops_working_at_once(world: World) -> None:
    token = world.token(CallerKind.ACCOUNT)
    await world.authenticator.authenticate(ME, token, "peer")
    assert world.store.session is not None
    world.store.session = replace(world.store.session, revoke_time=world.clock.now())
    assert await world.refusal(ME, token) == "SESSION_REVOKED"


async def test_a_session_that_is_gone_or_anothers_is_revoked(world: World) -> None:
    token = world.token(CallerKind.ACCOUNT)
    assert world.store.session is not None
    world.store.session = replace(world.store.session, user_id=SESSION)
    assert await world.refusal(ME, token) == "SESSION_REVOKED"
    world.store.session = None
    assert await world.refusal(ME, token) == "SESSION_REVOKED"


async def test_an_expired_session_needs_a_sign_in(world: World) -> None:
    assert world.store.session is not None
    world.store.session = replace(world.store.session, expire_time=world.clock.now())
    assert await world.refusal(ME, world.token(CallerKind.ACCOUNT)) == "TOKEN_EXPIRED"


async def test_a_token_that_is_shown_where_it_is_optional_must_be_good(world: World) -> None:
    assert await world.refusal(LOOK_UP, "garbage") == "TOKEN_INVALID"


async def test_an_old_token_does_not_keep_anybody_from_signing_in(world: World) -> None:
    caller = await world.authenticator.authenticate(SIGN_IN, "garbage", "peer")
    assert caller.kind is CallerKind.NOBODY


async def test_an_unknown_method_is_nobodys(world: World) -> None:
    assert await world.refusal("/parley.meeting.v1.MeetingService/Nuke", "operator-secret") == "PERMISSION_DENIED"


async def test_an_unset_secret_lets_nobody_in(world: World) -> None:
    authenticator = TableAuthenticator(world.tokens, world.store, world.clock, secrets={CallerKind.OPERATOR: ""})
    with pytest.raises(DomainError) as raised:
        await authenticator.authenticate("/parley.allocation.v1.RoomAllocationService/ListNodes", "", "peer")
    assert raised.value.reason == "TOKEN_INVALID"
