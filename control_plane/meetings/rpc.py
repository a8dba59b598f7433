"""MeetingService, and what of IdentityService is about guests: from messages to use cases and back."""

from __future__ import annotations

from typing import Any

from grpc import aio

from control_plane.accounts.convert import credentials_message, user_agent, user_message
from control_plane.accounts.service import Identity
from control_plane.kernel.errors import invalid_argument
from control_plane.kernel.paging import Position
from control_plane.meetings.convert import (
    change_from_proto,
    meeting_number,
    plan_from_proto,
    state_from_proto,
    summary_to_proto,
    view_to_proto,
)
from control_plane.meetings.service import MeetingPlanning
from control_plane.platform.grpc.caller import current_caller
from control_plane.platform.grpc.page_tokens import DEFAULT_PAGE_SIZE, PageTokens
from parley.identity.v1 import identity_service_pb2 as identity_pb
from parley.meeting.v1 import meeting_service_pb2 as pb

Context = aio.ServicerContext[Any, Any]


class MeetingServicer:
    """Answers calls about meetings."""

    def __init__(self, meetings: MeetingPlanning, page_tokens: PageTokens) -> None:
        self._meetings = meetings
        self._page_tokens = page_tokens

    async def CreateMeeting(self, request: pb.CreateMeetingRequest, context: Context) -> pb.CreateMeetingResponse:
        """See the contract."""
        view = await self._meetings.create(current_caller(), plan_from_proto(request))
        return pb.CreateMeetingResponse(meeting=view_to_proto(view))

    async def GetMeeting(self, request: pb.GetMeetingRequest, context: Context) -> pb.GetMeetingResponse:
        """See the contract."""
        view = await self._meetings.get(current_caller(), meeting_number(request.name))
        return pb.GetMeetingResponse(meeting=view_to_proto(view))

    async def ListMeetings(self, request: pb.ListMeetingsRequest, context: Context) -> pb.ListMeetingsResponse:
        """See the contract."""
        caller, size = current_caller(), request.page_size or DEFAULT_PAGE_SIZE
        scope = ("meetings", caller.user_id, str(request.state))
        after = self._page_tokens.decode(request.page_token, *scope)
        # One more than the page holds says whether there is another page.
        views = await self._meetings.list(caller, state_from_proto(request.state), after, size + 1)
        response = pb.ListMeetingsResponse(meetings=[view_to_proto(view) for view in views[:size]])
        if len(views) > size:
            last = views[size - 1].meeting
            response.next_page_token = self._page_tokens.encode(Position(last.create_time, last.number), *scope)
        return response

    async def UpdateMeeting(self, request: pb.UpdateMeetingRequest, context: Context) -> pb.UpdateMeetingResponse:
        """See the contract."""
        view = await self._meetings.update(current_caller(), change_from_proto(request))
        return pb.UpdateMeetingResponse(meeting=view_to_proto(view))

    async def DeleteMeeting(self, request: pb.DeleteMeetingRequest, context: Context) -> pb.DeleteMeetingResponse:
        """See the contract."""
        await self._meetings.delete(current_caller(), meeting_number(request.name), request.etag)
        return pb.DeleteMeetingResponse()

    async def StartMeeting(self, request: pb.StartMeetingRequest, context: Context) -> pb.StartMeetingResponse:
        """See the contract."""
        view = await self._meetings.start(current_caller(), meeting_number(request.name))
        return pb.StartMeetingResponse(meeting=view_to_proto(view))

    async def EndMeeting(self, request: pb.EndMeetingRequest, context: Context) -> pb.EndMeetingResponse:
        """See the contract."""
        view = await self._meetings.end(current_caller(), meeting_number(request.name))
        return pb.EndMeetingResponse(meeting=view_to_proto(view))

    async def RegeneratePasscode(
        self, request: pb.RegeneratePasscodeRequest, context: Context
    ) -> pb.RegeneratePasscodeResponse:
        """See the contract."""
        view = await self._meetings.regenerate_passcode(
            current_caller(), meeting_number(request.name), request.request_id.lower()
        )
        return pb.RegeneratePasscodeResponse(meeting=view_to_proto(view))

    async def LookUpMeeting(self, request: pb.LookUpMeetingRequest, context: Context) -> pb.LookUpMeetingResponse:
        """See the contract."""
        summary = await self._meetings.look_up(current_caller(), meeting_number(request.name), request.passcode)
        return summary_to_proto(summary)


class GuestServicer:
    """Answers calls of those who have no account."""

    def __init__(self, accounts: Identity, meetings: MeetingPlanning) -> None:
        self._accounts = accounts
        self._meetings = meetings

    async def CreateGuestSession(
        self, request: identity_pb.CreateGuestSessionRequest, context: Context
    ) -> identity_pb.CreateGuestSessionResponse:
        """See the contract."""
        address = current_caller().address
        if request.meeting:
            number = meeting_number(request.meeting)
            await self._meetings.admit_guest(number, request.passcode, address)
            return identity_pb.CreateGuestSessionResponse(
                credentials=credentials_message(self._accounts.meeting_guest(number))
            )
        if request.passcode:
            raise invalid_argument("passcode", "is good only together with a meeting")
        user, credentials = await self._accounts.create_guest(user_agent(context), address)
        return identity_pb.CreateGuestSessionResponse(
            user=user_message(user), credentials=credentials_message(credentials)
        )
