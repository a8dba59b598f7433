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

from control_plane.application.admission import Admitted, admit, check_offer, muted_on_entry
from control_plane.application.background import Background
from control_plane.application.callers import Caller, CallerKind
from control_plane.application.history import StayKeeper
from control_plane.application.live_ports import (
    IceServers,
    Joining,
    LiveMeetings,
    LiveView,
    MeetingDirectory,
    Observer,
    ParticipantTokens,
    SignalingTimes,
)
from control_plane.application.media_ports import SessionKey, StaleJoinError
from control_plane.application.ports import SignedToken
from control_plane.application.sessions import SessionOpener
from control_plane.domain.clock import Clock
from control_plane.domain.errors import DomainError
from control_plane.domain.media import MediaAnswer, MediaOffer, OpenedSession
from control_plane.domain.meeting import Meeting
from control_plane.domain.meeting_errors import meeting_ended, meeting_not_found
from control_plane.domain.participant import Participant, ParticipantRole, ParticipantState
from control_plane.domain.signaling_errors import (
    media_node_unavailable,
    participant_not_found,
    request_id_reused,
)
from control_plane.domain.text import check_shown
from control_plane.placement.model import Placement

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
        live: LiveMeetings,
        directory: MeetingDirectory,
        sessions: SessionOpener,
        tokens: ParticipantTokens,
        stays: StayKeeper,
        clock: Clock,
        times: SignalingTimes,
        observer: Observer,
        background: Background,
        ice_servers: IceServers,
    ) -> None:
        self._live = live
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
            view = await self._live.view(
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
            await self._live.reserve(
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
                await self._commit(
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
                view = await self._live.view(meeting.number, participant.id)
        self._observer.counted("participants_joined")
        self._background.run("record stay", self._stays.flush_soon(meeting.number))
        return self._answer(view, participant, placement, opened)

    async def _commit(self, placement: Placement, joining: Joining) -> None:
        try:
            await self._live.join(joining)
        except StaleJoinError as stale:
            if stale.outdated:
                await self._sessions.outdated(placement)
            raise

    async def _again(self, attempt: _Attempt, meeting: Meeting, view: LiveView) -> Joined:
        """A retry: the participant is in already, or has been."""
        if view.operation != attempt.fingerprint:
            raise request_id_reused()
        participant = view.participant(attempt.key.participant_id)
        if participant is None:
            raise participant_not_found()
        if participant.session_id != attempt.key.session_id:
            # They have renegotiated since: opening the first session again would end the one they use.
            raise request_id_reused()
        offer = replace(attempt.request.offer, tracks=participant.tracks)
        region = meeting.settings.preferred_region or attempt.request.region
        placement, opened = await self._sessions.open(meeting.number, region, attempt.key, offer, [])
        await self._live.media_moved(meeting.number, placement.epoch)
        view = await self._live.view(meeting.number, participant.id)
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
            person = await self._live.participant(meeting_id, key.participant_id)
        except DomainError:
            return False
        return person.session_id == key.session_id

    async def _undo(self, meeting_id: str, key: SessionKey, placements: list[Placement]) -> None:
        if await self._committed(meeting_id, key):
            return
        for placement in placements:
            await self._sessions.abandon(placement, key)
        await self._live.withdraw(meeting_id, key.participant_id, key.session_id)


def _attempt(request: JoinRequest, caller: Caller) -> _Attempt:
    """Ids follow from caller and request, so that a retry, on whichever replica, works on the same participant."""
    participant_id = str(uuid.uuid5(_NAMESPACE, f"{request.meeting_id}/{caller.subject}/{request.request_id}"))
    key = SessionKey(session_id_of(participant_id, request.request_id), participant_id)
    return _Attempt(request, caller, key, fingerprint(request.display_name, request.offer))


def session_id_of(participant_id: str, request_id: str) -> str:
    """Returns the media session that a request makes."""
    return str(uuid.uuid5(_NAMESPACE, f"{participant_id}/{request_id}"))


def fingerprint(display_name: str, offer: MediaOffer) -> str:
    """Returns what tells one request from another that came with the same id."""
    return hashlib.sha256(f"{display_name}\0{offer.sdp}".encode()).hexdigest()[:32]
