"""`parley.identity.v1.IdentityService`: from messages to use cases and back."""

from __future__ import annotations

from typing import Any

from grpc import aio

from control_plane.application.identity import Credentials, Identity, NewAccount
from control_plane.application.meetings import MeetingPlanning
from control_plane.application.ports import Position
from control_plane.domain.errors import invalid_argument
from control_plane.domain.user import Plan, User, UserKind, UserSession
from control_plane.rpc.authenticator import current_caller
from control_plane.rpc.convert_meeting import meeting_number, to_duration, to_timestamp
from control_plane.rpc.enums import enum_values
from control_plane.rpc.page_tokens import DEFAULT_PAGE_SIZE, PageTokens
from parley.identity.v1 import identity_service_pb2 as pb
from parley.identity.v1 import identity_service_pb2_grpc, session_pb2, user_pb2

Context = aio.ServicerContext[Any, Any]

_KINDS = enum_values(user_pb2.UserKind, UserKind)
_PLANS = enum_values(user_pb2.Plan, Plan)


class IdentityServicer(identity_service_pb2_grpc.IdentityServiceServicer):
    """Answers calls about users and sessions."""

    def __init__(self, identity: Identity, meetings: MeetingPlanning, page_tokens: PageTokens) -> None:
        self._identity = identity
        self._meetings = meetings
        self._page_tokens = page_tokens

    async def SignUp(self, request: pb.SignUpRequest, context: Context) -> pb.SignUpResponse:
        """See the contract."""
        account = NewAccount(request.email, request.password, request.display_name, request.request_id.lower())
        user, credentials = await self._identity.sign_up(account, _user_agent(context), current_caller().address)
        return pb.SignUpResponse(user=_user(user), credentials=_credentials(credentials))

    async def SignIn(self, request: pb.SignInRequest, context: Context) -> pb.SignInResponse:
        """See the contract."""
        user, credentials = await self._identity.sign_in(
            request.email, request.password, _user_agent(context), current_caller().address
        )
        return pb.SignInResponse(user=_user(user), credentials=_credentials(credentials))

    async def RefreshCredentials(
        self, request: pb.RefreshCredentialsRequest, context: Context
    ) -> pb.RefreshCredentialsResponse:
        """See the contract."""
        credentials = await self._identity.refresh(request.refresh_token)
        return pb.RefreshCredentialsResponse(credentials=_credentials(credentials))

    async def RevokeUserSession(
        self, request: pb.RevokeUserSessionRequest, context: Context
    ) -> pb.RevokeUserSessionResponse:
        """See the contract."""
        _, user_id, _, session_id = request.name.split("/")
        await self._identity.revoke(current_caller(), user_id, session_id)
        return pb.RevokeUserSessionResponse()

    async def ListUserSessions(
        self, request: pb.ListUserSessionsRequest, context: Context
    ) -> pb.ListUserSessionsResponse:
        """See the contract."""
        caller, size = current_caller(), request.page_size or DEFAULT_PAGE_SIZE
        scope = ("sessions", caller.user_id)
        after = self._page_tokens.decode(request.page_token, *scope)
        sessions = await self._identity.list_sessions(caller, after, size + 1)
        response = pb.ListUserSessionsResponse(
            sessions=[_session(one, current=one.id == caller.session_id) for one in sessions[:size]]
        )
        if len(sessions) > size:
            last = sessions[size - 1]
            response.next_page_token = self._page_tokens.encode(Position(last.create_time, last.id), *scope)
        return response

    async def GetCurrentUser(self, request: pb.GetCurrentUserRequest, context: Context) -> pb.GetCurrentUserResponse:
        """See the contract."""
        return pb.GetCurrentUserResponse(user=_user(await self._identity.current_user(current_caller())))

    async def CreateGuestSession(
        self, request: pb.CreateGuestSessionRequest, context: Context
    ) -> pb.CreateGuestSessionResponse:
        """See the contract."""
        address = current_caller().address
        if request.meeting:
            number = meeting_number(request.meeting)
            await self._meetings.admit_guest(number, request.passcode, address)
            return pb.CreateGuestSessionResponse(credentials=_credentials(self._identity.meeting_guest(number)))
        if request.passcode:
            raise invalid_argument("passcode", "is good only together with a meeting")
        user, credentials = await self._identity.create_guest(_user_agent(context), address)
        return pb.CreateGuestSessionResponse(user=_user(user), credentials=_credentials(credentials))


def _user_agent(context: Context) -> str:
    """The User-Agent of the calling program, without what a terminal or a page could be fooled by."""
    metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    text = metadata.get("x-user-agent") or metadata.get("user-agent") or ""
    return "".join(one for one in text if one.isprintable())


def _user(user: User) -> user_pb2.User:
    return user_pb2.User(
        name=user.name,
        email=user.email,
        display_name=user.display_name,
        kind=_KINDS[user.kind],
        plan=_PLANS[user.plan],
        time_zone=user.time_zone,
        create_time=to_timestamp(user.create_time),
    )


def _session(session: UserSession, *, current: bool) -> session_pb2.UserSession:
    return session_pb2.UserSession(
        name=session.name,
        user_agent=session.user_agent,
        create_time=to_timestamp(session.create_time),
        last_use_time=to_timestamp(session.last_use_time),
        expire_time=to_timestamp(session.expire_time),
        current=current,
    )


def _credentials(credentials: Credentials) -> session_pb2.Credentials:
    return session_pb2.Credentials(
        access_token=credentials.access.text,
        access_token_expire_time=to_timestamp(credentials.access.expire_time),
        refresh_token=credentials.refresh_token,
        session="" if credentials.session is None else credentials.session.name,
        access_token_lifetime=to_duration(credentials.access.lifetime),
    )
