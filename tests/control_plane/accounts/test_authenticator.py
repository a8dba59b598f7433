from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from control_plane.accounts.authenticator import TokenAuthenticator
from control_plane.accounts.model import SignIn
from control_plane.accounts.tokens import Tokens
from control_plane.kernel.caller import Caller, CallerKind
from control_plane.kernel.errors import DomainError
from control_plane.kernel.ids import SystemIds
from control_plane.kernel.roles import ParticipantRole
from control_plane.platform.grpc.caller import CURRENT_CALLER, current_caller
from grpc_kit.errors import ServiceError
from grpc_kit.interceptors import AuthInterceptor, Call
from tests.support.access import expected, methods
from tests.support.clock import FakeClock

METHODS = methods()
EXPECTED = expected()
USER = "3f0c8d4e-6a3b-4e0e-9a5c-1f2e3d4c5b6a"
SESSION = "aa0c8d4e-6a3b-4e0e-9a5c-1f2e3d4c5b6a"
MEETING = "12345678901"


class OneSession:
    """Sign-ins, of which there is one."""

    def __init__(self, session: SignIn | None) -> None:
        self.session = session

    async def get(self, session_id: str) -> SignIn | None:
        return self.session if self.session and self.session.id == session_id else None


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        now = self.clock.now()
        self.tokens = Tokens(Ed25519PrivateKey.generate(), self.clock, SystemIds())
        self.store = OneSession(SignIn(SESSION, USER, "test", now, now, now + timedelta(days=1)))
        secrets = {CallerKind.OPERATOR: "operator-secret", CallerKind.NODE: "node-secret"}
        self.door = AuthInterceptor(
            TokenAuthenticator(self.tokens, self.store.get, self.clock, secrets=secrets), CURRENT_CALLER
        )
        self.door.bind([path.split("/")[1] for path in METHODS])

    def token(self, kind: CallerKind, role: ParticipantRole = ParticipantRole.HOST) -> str | None:
        user = Caller(kind, f"users/{USER}", user_id=USER, session_id=SESSION)
        match kind:
            case CallerKind.NOBODY:
                return None
            case CallerKind.ACCOUNT | CallerKind.GUEST:
                return self.tokens.access(user).text
            case CallerKind.MEETING_GUEST:
                return self.tokens.access(Caller(kind, "guests/1", meeting_id=MEETING)).text
            case CallerKind.PARTICIPANT:
                return self.tokens.issue(MEETING, USER, role).text
            case CallerKind.OPERATOR:
                return "operator-secret"
            case CallerKind.NODE:
                return "node-secret"

    async def call(self, method: str, token: str | None) -> Caller:
        """Goes through the door as who holds a token."""
        metadata = {} if token is None else {"authorization": f"Bearer {token}"}
        context: Any = None
        call = Call(method, context, metadata, streams_request=False, streams_response=False, transport_peer="peer:1")
        async with self.door.around(call):
            return current_caller()

    async def refusal(self, method: str, token: str | None) -> str:
        try:
            await self.call(method, token)
        except (DomainError, ServiceError) as error:
            return error.reason
        pytest.fail(f"{method} let the caller in")


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("method", METHODS)
async def test_each_rpc_takes_the_kinds_of_its_row_and_no_other(world: World, method: str) -> None:
    row = EXPECTED[method]
    ignored = CallerKind.OPERATOR.value in row and CallerKind.NOBODY.value in row
    for kind in CallerKind:
        token = world.token(kind)
        if kind.value in row:
            caller = await world.call(method, token)
            assert caller.kind is (CallerKind.NOBODY if ignored else kind)
            assert caller.address == "peer"
        else:
            reason = "TOKEN_MISSING" if token is None else "TOKEN_KIND_NOT_ALLOWED"
            assert await world.refusal(method, token) == reason


@pytest.mark.parametrize("method", METHODS)
async def test_each_rpc_takes_participants_of_the_roles_of_its_row_and_no_others(world: World, method: str) -> None:
    roles = EXPECTED[method].get(CallerKind.PARTICIPANT.value, "")
    for role in ParticipantRole if roles else ():
        token = world.token(CallerKind.PARTICIPANT, role)
        if roles == "all" or role.value in roles.split(","):
            await world.call(method, token)
        else:
            assert await world.refusal(method, token) == "PERMISSION_DENIED"


async def test_who_may_call_is_said_in_words(world: World) -> None:
    end = "/parley.meeting.v1.MeetingService/EndMeeting"
    with pytest.raises(ServiceError, match="Only a host of the meeting may do this"):
        await world.call(end, world.token(CallerKind.PARTICIPANT, ParticipantRole.ATTENDEE))


ME = "/parley.identity.v1.IdentityService/GetCurrentUser"
LOOK_UP = "/parley.meeting.v1.MeetingService/LookUpMeeting"
SIGN_IN = "/parley.identity.v1.IdentityService/SignIn"


async def test_a_revoked_session_stops_working_at_once(world: World) -> None:
    token = world.token(CallerKind.ACCOUNT)
    await world.call(ME, token)
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
    caller = await world.call(SIGN_IN, "garbage")
    assert caller.kind is CallerKind.NOBODY


async def test_an_unknown_method_is_nobodys(world: World) -> None:
    assert await world.refusal("/parley.meeting.v1.MeetingService/Nuke", "operator-secret") == "PERMISSION_DENIED"


async def test_an_unset_secret_lets_nobody_in(world: World) -> None:
    authenticator = TokenAuthenticator(world.tokens, world.store.get, world.clock, secrets={CallerKind.OPERATOR: ""})
    with pytest.raises(DomainError) as raised:
        authenticator.verify("", "peer")
    assert raised.value.reason == "TOKEN_INVALID"
