"""What hostile requests are tried on: a small world of meetings and people, and a fingerprint of everything stored."""

import asyncio
import hashlib
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import grpc
import jwt
import psycopg
import redis.asyncio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.message import Message
from psycopg import sql

from parley.identity.v1 import identity_service_pb2 as identity
from parley.meeting.v1 import meeting_pb2
from parley.meeting.v1 import meeting_service_pb2 as meetings
from parley.signaling.v1 import signaling_service_pb2 as signaling
from tests.support.sdp import media_offer
from tests.support.transports import Grpc, method

PASSWORD: Final = "correct horse battery"
PASSCODE: Final = "Pr0be-482913"
NOBODY: Final = "00000000-0000-4000-8000-000000000000"
_HEARTBEAT_SECONDS: Final = 8
_VOLATILE: Final = ("attempts:", "parley:{placement}:")
"""Keys that count attempts, which is their purpose, or that nodes renew by their reports."""
_CLOCKS: Final = (":presence", "parley:live")
"""Sorted sets whose scores are times that move on; their members are compared."""

MessageT = TypeVar("MessageT", bound=Message)


@dataclass(frozen=True, slots=True)
class Account:
    """A signed-in user."""

    name: str
    email: str
    token: str
    refresh_token: str
    session: str


@dataclass(frozen=True, slots=True)
class Attendance:
    """Somebody's stay in a meeting."""

    name: str
    token: str
    cursor: str


@dataclass(frozen=True, slots=True)
class Request:
    """A bad request and the answer that the contracts promise for it."""

    name: str
    rpc: str
    message: Callable[["World"], Message]
    code: grpc.StatusCode
    reason: str
    field: str = ""
    token: Callable[["World"], str | None] = lambda world: world.host.token
    only: Sequence[str] = ("grpc", "grpc-web", "rest")


@dataclass(slots=True)
class World:
    """Accounts, meetings in every state and people in them, made once through the public services."""

    api: Grpc
    host: Account
    other: Account
    operator_token: str
    signing_key: Path
    meetings: dict[str, meeting_pb2.Meeting] = field(default_factory=dict)
    people: dict[str, Attendance] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)

    async def call(self, rpc: str, request: Message, kind: type[MessageT], token: str | None = None) -> MessageT:
        """Call and expect success."""
        outcome = await self.api.call(method(rpc), request, token)
        assert outcome.code is grpc.StatusCode.OK, f"{rpc}: {outcome}"
        assert isinstance(outcome.response, kind)
        return outcome.response

    async def meeting(self, key: str, owner: Account, **fields: Any) -> meeting_pb2.Meeting:  # noqa: ANN401 - proto fields
        """Create a meeting."""
        request = meetings.CreateMeetingRequest(meeting=meeting_pb2.Meeting(topic=key, passcode=PASSCODE, **fields))
        made = await self.call("MeetingService.CreateMeeting", request, meetings.CreateMeetingResponse, owner.token)
        self.meetings[key] = made.meeting
        return made.meeting

    async def join(self, key: str, meeting: str, token: str) -> Attendance:
        """Enter a meeting."""
        request = join_request(meeting, passcode=PASSCODE)
        joined = await self.call("SignalingService.JoinMeeting", request, signaling.JoinMeetingResponse, token)
        self.people[key] = Attendance(joined.participant.name, joined.participant_token, joined.cursor)
        return self.people[key]

    def forge(self, token: str, *, key: Ed25519PrivateKey | None = None, **claims: Any) -> str:  # noqa: ANN401 - JWT claims
        """Sign a token's claims again with changes, by default with the deployment's own key."""
        header = jwt.get_unverified_header(token)
        old = jwt.decode(token, options={"verify_signature": False, "verify_exp": False})
        signer = key or serialization.load_pem_private_key(self.signing_key.read_bytes(), password=None)
        headers = {name: value for name, value in header.items() if name not in {"alg", "typ"}}
        return jwt.encode({**old, **claims}, signer, algorithm="EdDSA", headers=headers)  # type: ignore[arg-type]


def join_request(meeting: str, **fields: Any) -> signaling.JoinMeetingRequest:  # noqa: ANN401 - proto fields
    """Make a good request to join, except for the given fields."""
    good: dict[str, Any] = {"display_name": "Probe", "offer": media_offer(), "request_id": str(uuid.uuid4())}
    return signaling.JoinMeetingRequest(meeting=meeting, **{**good, **fields})


async def sign_up(api: Grpc, name: str) -> Account:
    """Make an account."""
    email = f"{name}-{uuid.uuid4().hex[:8]}@example.com"
    request = identity.SignUpRequest(email=email, password=PASSWORD, display_name=name)
    outcome = await api.call(method("IdentityService.SignUp"), request)
    assert isinstance(outcome.response, identity.SignUpResponse), outcome
    credentials = outcome.response.credentials
    return Account(
        outcome.response.user.name, email, credentials.access_token, credentials.refresh_token, credentials.session
    )


async def build_world(api: Grpc, *, operator_token: str, signing_key: Path) -> World:
    """Make the world."""
    host, other = await sign_up(api, "host"), await sign_up(api, "other")
    world = World(api, host, other, operator_token, signing_key)
    await _make_meetings(world)
    await _make_people(world)
    await _make_tokens(world)
    return world


async def _make_meetings(world: World) -> None:
    two = meeting_pb2.MeetingSettings(max_participants=2)
    late = meeting_pb2.MeetingSettings(join_before_host=False)
    members = meeting_pb2.MeetingSettings(guests_allowed=False)
    for key, owner, fields in (
        ("open", world.host, {}),
        ("planned", world.host, {}),
        ("ended", world.host, {}),
        ("full", world.host, {"settings": two}),
        ("not-started", world.host, {"settings": late}),
        ("members", world.host, {"settings": members}),
        ("foreign", world.other, {}),
    ):
        await world.meeting(key, owner, **fields)
    start = meetings.StartMeetingRequest(name=world.meetings["open"].name)
    await world.call("MeetingService.StartMeeting", start, meetings.StartMeetingResponse, world.host.token)
    end = meetings.EndMeetingRequest(name=world.meetings["ended"].name)
    await world.call("MeetingService.EndMeeting", end, meetings.EndMeetingResponse, world.host.token)


async def _make_people(world: World) -> None:
    for key, place, token in (
        ("host", "open", world.host.token),
        ("guest", "open", await guest(world, "open")),
        ("gone", "open", await guest(world, "open")),
        ("full-1", "full", world.host.token),
        ("full-2", "full", await guest(world, "full")),
        ("foreign", "foreign", world.other.token),
    ):
        await world.join(key, world.meetings[place].name, token)
    gone = world.people["gone"]
    leave = signaling.LeaveMeetingRequest(name=gone.name)
    await world.call("SignalingService.LeaveMeeting", leave, signaling.LeaveMeetingResponse, gone.token)


async def _make_tokens(world: World) -> None:
    revoked = await sign_up(world.api, "revoked")
    request = identity.RevokeUserSessionRequest(name=revoked.session)
    await world.call("IdentityService.RevokeUserSession", request, identity.RevokeUserSessionResponse, revoked.token)
    past = int(time.time()) - 3600
    world.tokens |= {
        "revoked": revoked.token,
        "expired": world.forge(world.host.token, exp=past, iat=past - 900, nbf=past - 900),
        "forged": world.forge(world.host.token, key=Ed25519PrivateKey.generate()),
        "expired-participant": world.forge(world.people["guest"].token, exp=past, iat=past - 900, nbf=past - 900),
        "unsigned": jwt.encode({"sub": world.host.name, "exp": time.time() + 900}, "", algorithm="none"),
        "guest-open": await guest(world, "open"),
        "guest-foreign": await guest(world, "foreign"),
    }
    request_id = str(uuid.uuid4())
    first = meetings.CreateMeetingRequest(meeting=meeting_pb2.Meeting(topic="first"), request_id=request_id)
    await world.call("MeetingService.CreateMeeting", first, meetings.CreateMeetingResponse, world.host.token)
    world.facts["used request_id"] = request_id


async def guest(world: World, key: str) -> str:
    """Get a guest's token for a meeting."""
    request = identity.CreateGuestSessionRequest(meeting=world.meetings[key].name, passcode=PASSCODE)
    made = await world.call("IdentityService.CreateGuestSession", request, identity.CreateGuestSessionResponse)
    return made.credentials.access_token


async def keep_present(world: World) -> None:
    """Send heartbeats for everyone who is in a meeting, until cancelled, and keep the guest's media session open."""
    while True:
        await _renew_session(world, world.people["guest"])
        for key, person in list(world.people.items()):
            if key == "gone":
                continue
            beat = signaling.HeartbeatRequest(name=person.name)
            answer = await world.call("SignalingService.Heartbeat", beat, signaling.HeartbeatResponse, person.token)
            if answer.participant_token:
                world.people[key] = Attendance(person.name, answer.participant_token, person.cursor)
        await asyncio.sleep(_HEARTBEAT_SECONDS)


async def _renew_session(world: World, person: Attendance) -> None:
    """Open the next media session: nobody answers the node's side of it, so each lasts half a minute."""
    request = signaling.RenegotiateMediaRequest(name=person.name, offer=media_offer(), request_id=str(uuid.uuid4()))
    await world.call("SignalingService.RenegotiateMedia", request, signaling.RenegotiateMediaResponse, person.token)


async def fingerprint(database_url: str, redis_url: str) -> Mapping[str, str]:
    """Digest each table and each Redis key, without what changes by itself or is there to count attempts."""
    prints: dict[str, str] = {}
    async with await psycopg.AsyncConnection.connect(database_url.replace("+psycopg", "")) as connection:
        tables = await connection.execute("select tablename from pg_tables where schemaname = 'public'")
        for (table,) in await tables.fetchall():
            query = sql.SQL("select coalesce(md5(string_agg(t::text, '|' order by t::text)), '') from {} t")
            row = await (await connection.execute(query.format(sql.Identifier(table)))).fetchone()
            prints[f"table {table}"] = row[0] if row else ""
    async with redis.asyncio.Redis.from_url(redis_url) as store:
        async for key in store.scan_iter():
            name = key.decode()
            if not name.startswith(_VOLATILE):
                prints[f"key {name}"] = await _digest(store, name)
    return prints


async def _digest(store: redis.asyncio.Redis, name: str) -> str:
    if name.endswith(_CLOCKS):
        return str(sorted(await store.zrange(name, 0, -1)))
    return hashlib.sha256(await store.dump(name) or b"").hexdigest()


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Name the tables and keys that differ."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
