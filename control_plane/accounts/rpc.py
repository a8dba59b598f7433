"""What of IdentityService is about accounts and sign-ins: from messages to use cases and back."""

from __future__ import annotations

from typing import Any

from grpc import aio

from control_plane.accounts.convert import credentials_message, sign_in_message, user_agent, user_message
from control_plane.accounts.service import Identity, NewAccount
from control_plane.kernel.paging import Position
from control_plane.platform.grpc.caller import current_caller
from control_plane.platform.grpc.page_tokens import DEFAULT_PAGE_SIZE, PageTokens
from parley.identity.v1 import identity_service_pb2 as pb

Context = aio.ServicerContext[Any, Any]


class AccountServicer:
    """Answers calls about users and their sign-ins."""

    def __init__(self, identity: Identity, page_tokens: PageTokens) -> None:
        self._identity = identity
        self._page_tokens = page_tokens

    async def SignUp(self, request: pb.SignUpRequest, context: Context) -> pb.SignUpResponse:
        """See the contract."""
        account = NewAccount(request.email, request.password, request.display_name, request.request_id.lower())
        user, credentials = await self._identity.sign_up(account, user_agent(context), current_caller().address)
        return pb.SignUpResponse(user=user_message(user), credentials=credentials_message(credentials))

    async def SignIn(self, request: pb.SignInRequest, context: Context) -> pb.SignInResponse:
        """See the contract."""
        user, credentials = await self._identity.sign_in(
            request.email, request.password, user_agent(context), current_caller().address
        )
        return pb.SignInResponse(user=user_message(user), credentials=credentials_message(credentials))

    async def RefreshCredentials(
        self, request: pb.RefreshCredentialsRequest, context: Context
    ) -> pb.RefreshCredentialsResponse:
        """See the contract."""
        credentials = await self._identity.refresh(request.refresh_token)
        return pb.RefreshCredentialsResponse(credentials=credentials_message(credentials))

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
            sessions=[sign_in_message(one, current=one.id == caller.session_id) for one in sessions[:size]]
        )
        if len(sessions) > size:
            last = sessions[size - 1]
            response.next_page_token = self._page_tokens.encode(Position(last.create_time, last.id), *scope)
        return response

    async def GetCurrentUser(self, request: pb.GetCurrentUserRequest, context: Context) -> pb.GetCurrentUserResponse:
        """See the contract."""
        return pb.GetCurrentUserResponse(user=user_message(await self._identity.current_user(current_caller())))
