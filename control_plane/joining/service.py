"""JoinMeeting: one round trip from an SDP offer to being in a meeting; a failure on the way leaves nothing behind."""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from control_plane.accounts.tokens import ParticipantTokens, SignedToken
from control_plane.history.service import StayKeeper
from control_plane.joining.admission import Admitted, admit
from control_plane.joining.live import Places
from control_plane.joining.model import Joining
from control_plane.kernel.caller import Caller, CallerKind
from control_plane.kernel.clock import Clock
from control_plane.kernel.errors import DomainError, RequestIdReusedError
from control_plane.kernel.roles import ParticipantRole
from control_plane.kernel.text import check_shown
from control_plane.log.errors import ParticipantNotFoundError, StaleJoinError
from control_plane.log.participant import Participant, ParticipantState, SessionKey
from control_plane.log.state import LiveState
from control_plane.log.times import SignalingTimes
from control_plane.log.view import LiveView
from control_plane.media.errors import media_node_unavailable
from control_plane.media.model import MediaAnswer, MediaOffer, OpenedSession
from control_plane.media.offers import check_offer, muted_on_entry
from control_plane.media.sessions import SessionOpener, session_id_of
from control_plane.media.turn import TurnServers
from control_plane.meetings.directory import MeetingDirectory
from control_plane.meetings.errors import meeting_ended, meeting_not_found
from control_plane.meetings.model import Meeting
from control_plane.platform.background import Background
from control_plane.platform.observer import Observer
from control_plane.rooms.model import Placement

_NAMESPACE: Final = uuid.UUID("5b1f5b0e-6d0e-4f43-9a0f-0c9f1f6a1d57")
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """What somebody asks who wants to come in."""

    meeting_id: str
    passcode: str
    display_name: str
    offer: MediaOffer
    request_id: str
    region: str = ""


@dataclass(frozen=True, slots=True)
class Joined:
    """Somebody is in a meeting."""

    participant: Participant
    token: SignedToken
    answer: MediaAnswer
    view: LiveView


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What all attempts and retries of one request have in common."""

    request: JoinRequest
    caller: Caller
    key: SessionKey
    fingerprint: str

    @property
    def operation(self) -> str:
        return f"join:{self.key.participant_id}"


class MeetingJoiner:
    """The use case JoinMeeting."""

    def __init__(  # noqa: PLR0913 -- wiring
        self,
        *,
        state: LiveState,
        places: Places,
        directory: MeetingDirectory,
        sessions: SessionOpener,
        tokens: ParticipantTokens,
        stays: StayKeeper,
        clock: Clock,
        times: SignalingTimes,
        observer: Observer,
        background: Background,
        ice_servers: TurnServers,
    ) -> None:
        self._state = state
        self._places = places
        self._directory = directory
        self._sessions = sessions
        self._tokens = tokens
        self._stays = stays
        self._clock = clock
        self._times = times
        self._observer = observer
        self._background = background
        self._ice_servers = ice_servers

    async def join(self, request: JoinRequest, caller: Caller) -> Joined:
        """Brings somebody into a meeting.

        Raises:
            DomainError: Any reason that the contract names for JoinMeeting.
        """
        began = time.perf_counter()
        outcome = "INTERNAL"
        try:
            joined = await self._join(_attempt(request, caller))
            outcome = "ok"
        except DomainError as error:
            outcome = error.reason
            raise
        except asyncio.CancelledError:
            outcome = "CANCELLED"
            raise
        else:
            return joined
        finally:
            self._observer.joined(outcome, time.perf_counter() - began)

    async def _join(self, attempt: _Attempt) -> Joined:
        request = attempt.request
        with self._observer.stage("meeting"):
            view = await self._state.view(
                request.meeting_id, attempt.key.participant_id, operation=attempt.operation, brief=True
            )
            # What those who are in it know is good enough, and lets people in while the database is away.
            meeting = None if view.ended else view.meeting
            meeting = meeting or await self._directory.find(request.meeting_id)
        with self._observer.stage("authorize"):
            if meeting is None:
                raise meeting_not_found()
            admitted = await admit(attempt.caller, meeting, request.passcode, self._directory)
            if view.ended:
                raise meeting_ended()
            check_shown("display_name", request.display_name)
            check_offer(request.offer, admitted.role)
        if view.operation is not None:
            return await self._again(attempt, meeting, view)
        for _ in range(_ATTEMPTS):
            try:
                return await self._enter(attempt, meeting, admitted)
            except StaleJoinError:
                continue
        raise media_node_unavailable()

    async def _enter(self, attempt: _Attempt, meeting: Meeting, admitted: Admitted) -> Joined:
        request, key = attempt.request, attempt.key
        with self._observer.stage("reserve"):
            limit = meeting.settings.max_participants
            await self._places.reserve(
                meeting.number,
                key.participant_id,
                key.session_id,
                limit,
                subject=attempt.caller.subject,
                is_host=admitted.role is ParticipantRole.HOST,
            )
        async with self._compensated(meeting.number, key) as undo:
            offer = request.offer
            if meeting.settings.mute_on_entry and admitted.role is not ParticipantRole.HOST:
                offer = replace(offer, tracks=muted_on_entry(offer.tracks))
            region = meeting.settings.preferred_region or request.region
            placement, opened = await self._sessions.open(meeting.number, region, key, offer, undo)
            with self._observer.stage("commit"):
                if admitted.starts:
                    meeting = await self._directory.start(meeting.number)
                now = self._clock.now()
                participant = Participant(
                    id=key.participant_id,
                    display_name=request.display_name,
                    role=admitted.role,
                    state=ParticipantState.JOINING,
                    join_time=now,
                    user_id=attempt.caller.user_id if attempt.caller.kind is CallerKind.ACCOUNT else "",
                    tracks=offer.tracks,
                    session_id=key.session_id,
                    subject=attempt.caller.subject,
                    epoch=placement.epoch,
                )
                view = await self._commit(
                    placement,
                    Joining(
                        meeting=meeting,
                        participant=participant,
                        slots=opened.slots,
                        epoch=placement.epoch,
                        operation=attempt.operation,
                        fingerprint=attempt.fingerprint,
                    ),
                )
                undo.clear()
        self._observer.counted("participants_joined")
        self._background.run("record stay", self._stays.flush_soon(meeting.number))
        return self._answer(view, participant, placement, opened)

    async def _commit(self, placement: Placement, joining: Joining) -> LiveView:
        try:
            return await self._places.join(joining)
        except StaleJoinError as stale:
            if stale.outdated:
                await self._sessions.outdated(placement)
            raise

    async def _again(self, attempt: _Attempt, meeting: Meeting, view: LiveView) -> Joined:
        """A retry: the participant is in already, or has been."""
        if view.operation != attempt.fingerprint:
            raise RequestIdReusedError
        participant = view.participant(attempt.key.participant_id)
        if participant is None:
            raise ParticipantNotFoundError
        if participant.session_id != attempt.key.session_id:
            # They have renegotiated since: opening the first session again would end the one they use.
            raise RequestIdReusedError
        offer = replace(attempt.request.offer, tracks=participant.tracks)
        region = meeting.settings.preferred_region or attempt.request.region
        placement, opened = await self._sessions.open(meeting.number, region, attempt.key, offer, [])
        await self._sessions.moved(placement)
        view = await self._state.view(meeting.number, participant.id)
        return self._answer(view, participant, placement, opened)

    def _answer(self, view: LiveView, participant: Participant, placement: Placement, opened: OpenedSession) -> Joined:
        participant = view.participant(participant.id) or participant
        token = self._tokens.issue(view.meeting_id, participant.id, participant.role)
        ice_servers = self._ice_servers.servers(participant.id)
        answer = MediaAnswer(opened.sdp, view.slots or opened.slots, placement.epoch, ice_servers)
        return Joined(participant, token, answer, view)

    @asynccontextmanager
    async def _compensated(self, meeting_id: str, key: SessionKey) -> AsyncIterator[list[Placement]]:
        """Undoes what a join has done when it fails: at placements that the body notes, and in the live state."""
        undo: list[Placement] = []
        try:
            yield undo
        except StaleJoinError:
            # The next attempt has the same ids, so nothing of this one may be under way then.
            await self._undo(meeting_id, key, undo)
            raise
        except BaseException:
            self._background.run("undo join", self._undo(meeting_id, key, undo))
            raise

    async def _committed(self, meeting_id: str, key: SessionKey) -> bool:
        """Whether the participant is in after all: the answer to the commit got lost, or a retry was faster."""
        try:
            person = await self._state.participant(meeting_id, key.participant_id)
        except DomainError:
            return False
        return person.session_id == key.session_id

    async def _undo(self, meeting_id: str, key: SessionKey, placements: list[Placement]) -> None:
        if await self._committed(meeting_id, key):
            return
        for placement in placements:
            await self._sessions.abandon(placement, key)
        await self._state.withdraw(meeting_id, key.participant_id, key.session_id)


def _attempt(request: JoinRequest, caller: Caller) -> _Attempt:
    """Ids follow from caller and request, so that a retry, on whichever replica, works on the same participant."""
    participant_id = str(uuid.uuid5(_NAMESPACE, f"{request.meeting_id}/{caller.subject}/{request.request_id}"))
    key = SessionKey(session_id_of(participant_id, request.request_id), participant_id)
    return _Attempt(request, caller, key, fingerprint(request.display_name, request.offer))


def fingerprint(display_name: str, offer: MediaOffer) -> str:
    """Returns what tells one request from another that came with the same id."""
    return hashlib.sha256(f"{display_name}\0{offer.sdp}".encode()).hexdigest()[:32]
