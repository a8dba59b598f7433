"""A participant's media: renegotiated, and what is shown and sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

import structlog

from control_plane.kernel.caller import CallingParticipant
from control_plane.kernel.errors import RequestIdReusedError
from control_plane.log.errors import ParticipantNotFoundError, StaleJoinError
from control_plane.log.participant import Participant, SessionKey, Track
from control_plane.log.state import LiveState
from control_plane.media.errors import MidUnknownError, media_node_unavailable, mid_unknown
from control_plane.media.live import LiveSessions
from control_plane.media.model import MediaAnswer, MediaOffer, OpenedSession, SlotSelection
from control_plane.media.offers import check_offer, check_slots, check_tracks
from control_plane.media.renewal import Renewal
from control_plane.media.sessions import SessionOpener, session_id_of
from control_plane.media.turn import TurnServers
from control_plane.nodes.control import MediaNodes, NodeUnreachableError, RoomNotServedError, SerializedExplanation
from control_plane.platform.background import Background
from control_plane.platform.observer import Observer
from control_plane.rooms.model import Placement
from control_plane.rooms.service import Rooms

T = TypeVar("T")
_log = structlog.get_logger(__name__)
_ATTEMPTS: Final = 3


class Media:
    """The use cases of a participant's media session."""

    def __init__(
        self,
        *,
        state: LiveState,
        live: LiveSessions,
        rooms: Rooms,
        nodes: MediaNodes,
        sessions: SessionOpener,
        observer: Observer,
        background: Background,
        ice_servers: TurnServers,
    ) -> None:
        self._state = state
        self._live = live
        self._rooms = rooms
        self._nodes = nodes
        self._sessions = sessions
        self._observer = observer
        self._background = background
        self._ice_servers = ice_servers

    async def renegotiate(self, who: CallingParticipant, offer: MediaOffer, request_id: str) -> MediaAnswer:
        """Exchanges a new offer for a new answer; the old media session ends, unless the offer only restarts its ICE.

        Raises:
            DomainError: PARTICIPANT_NOT_FOUND, and what opening a session can fail with.
        """
        key = SessionKey(session_id_of(who.participant_id, request_id), who.participant_id)
        operation = f"renegotiate:{key.session_id}"
        view = await self._state.view(who.meeting_id, who.participant_id, operation=operation, brief=True)
        participant = view.participant(who.participant_id)
        if participant is None:
            raise ParticipantNotFoundError
        check_offer(offer, participant.role)
        if view.operation is not None:
            # A retry. What was said of the tracks since counts; and a session that has followed is not to be ended.
            if participant.session_id != view.operation:
                raise RequestIdReusedError
            offer, operation = replace(offer, tracks=participant.tracks), ""
        for _ in range(_ATTEMPTS):
            try:
                return await self._renew(who.meeting_id, participant, key, offer, operation)
            except StaleJoinError:
                continue
        raise media_node_unavailable()

    async def _renew(
        self, meeting_id: str, participant: Participant, key: SessionKey, offer: MediaOffer, operation: str
    ) -> MediaAnswer:
        await self._live.begin_session(meeting_id, participant.id, key.session_id)
        placement, opened = await self._open(meeting_id, participant, key, offer)
        renewal = Renewal(
            read=participant,
            begun_id=key.session_id,
            session_id=opened.session_id or key.session_id,
            tracks=offer.tracks,
            slots=opened.slots,
            epoch=placement.epoch,
            operation=operation,
        )
        try:
            renewed = await self._live.replace_session(meeting_id, renewal)
        except StaleJoinError:
            await self._sessions.outdated(placement)
            await self._undo(meeting_id, key, [placement])
            raise
        except (ParticipantNotFoundError, RequestIdReusedError):
            self._background.run("undo session", self._undo(meeting_id, key, [placement]))
            raise
        self._observer.counted("sessions_renegotiated")
        if renewed.tracks != offer.tracks:
            await self._bring_to_node(meeting_id, renewed, renewed.tracks)
        ice_servers = self._ice_servers.servers(participant.id)
        return MediaAnswer(opened.sdp, opened.slots, placement.epoch, ice_servers)

    async def _open(
        self, meeting_id: str, participant: Participant, key: SessionKey, offer: MediaOffer
    ) -> tuple[Placement, OpenedSession]:
        """Opens a session that is to become a participant's; when that fails, nothing of it stays."""
        undo: list[Placement] = []
        try:
            return await self._sessions.open(meeting_id, "", key, offer, undo)
        except BaseException:
            if key.session_id != participant.session_id:
                self._background.run("undo session", self._undo(meeting_id, key, undo))
            raise

    async def _undo(self, meeting_id: str, key: SessionKey, placements: Sequence[Placement]) -> None:
        for placement in placements:
            await self._sessions.abandon(placement, key)
        await self._state.withdraw(meeting_id, key.participant_id, key.session_id)

    async def update_slots(self, who: CallingParticipant, slots: Sequence[SlotSelection]) -> None:
        """Says what the layout shows.

        Raises:
            DomainError: PARTICIPANT_NOT_FOUND, MID_UNKNOWN, MEDIA_NODE_UNAVAILABLE.
        """
        check_slots(tuple(slots), "slots")
        await self._ask_node(who, lambda placement: self._nodes.update_slots(placement, who.participant_id, slots))

    async def explain(self, who: CallingParticipant) -> SerializedExplanation:
        """Says why the caller's pictures look as they do.

        Raises:
            DomainError: PARTICIPANT_NOT_FOUND, MEDIA_NODE_UNAVAILABLE.
        """
        return await self._ask_node(who, lambda placement: self._nodes.explain(placement, who.participant_id))

    async def _ask_node(self, who: CallingParticipant, ask: Callable[[Placement], Awaitable[T]]) -> T:
        """Asks the node of the caller's room.

        Raises:
            DomainError: PARTICIPANT_NOT_FOUND, MEDIA_NODE_UNAVAILABLE, and what the node finds wrong with the request.
        """
        await self._state.signalled(who.meeting_id, who.participant_id)
        placement = await self._placement(who.meeting_id)
        try:
            return await ask(placement)
        except NodeUnreachableError:
            await self._rooms.unreachable(placement)
            raise media_node_unavailable() from None
        except RoomNotServedError as error:
            # The room is moving, or the session is being replaced; the offer that follows names the slots again.
            _log.info("session can't be asked", room=placement.room_id, reason=error.reason)
            raise media_node_unavailable() from error

    async def update_tracks(self, who: CallingParticipant, tracks: Sequence[Track]) -> Participant:
        """Mutes, unmutes or changes the source of the caller's tracks.

        Raises:
            DomainError: PARTICIPANT_NOT_FOUND, MID_UNKNOWN, PUBLISH_NOT_ALLOWED.
        """
        check_tracks(tuple(tracks), "tracks")
        await self._state.signalled(who.meeting_id, who.participant_id)
        participant = await self._state.participant(who.meeting_id, who.participant_id)
        _check_mids(participant, tracks)
        # The state comes first: it is what the node is brought to, whoever else says something of the same tracks.
        after = await self._state.change(who.meeting_id, who.participant_id, lambda one: _with_tracks(one, tracks))
        mids = {track.mid for track in tracks}
        await self._bring_to_node(who.meeting_id, after, [track for track in after.tracks if track.mid in mids])
        return after

    async def _bring_to_node(self, meeting_id: str, participant: Participant, tracks: Sequence[Track]) -> None:
        """Tells the node of tracks until what it was told is what the state says.

        Two replicas may tell it at once, in either order: the one that told it something old finds that out here.
        """
        for _ in range(_ATTEMPTS):
            placement = await self._rooms.find(meeting_id)
            if placement is None:
                return
            await self._tell_node(placement, participant.id, tracks)
            try:
                now = await self._state.participant(meeting_id, participant.id)
            except ParticipantNotFoundError:
                return
            known = {track.mid: track for track in now.tracks}
            current = [known[track.mid] for track in tracks if track.mid in known]
            if current == list(tracks) and now.session_id == participant.session_id:
                return
            participant, tracks = now, current

    async def _tell_node(self, placement: Placement, participant_id: str, tracks: Sequence[Track]) -> None:
        # A node that is away is told when it is back: by the next offer, or when its state is compared with ours.
        try:
            await self._nodes.update_tracks(placement, participant_id, tracks)
        except NodeUnreachableError:
            await self._rooms.unreachable(placement)
        except RoomNotServedError:
            self._observer.counted("track_updates_deferred")
        except MidUnknownError:
            # Its session is another than the state's: one is being replaced, and its tracks are compared then.
            self._observer.counted("track_updates_deferred")

    async def _placement(self, meeting_id: str) -> Placement:
        placement = await self._rooms.find(meeting_id)
        if placement is None:
            raise media_node_unavailable()
        return placement


def _check_mids(participant: Participant, tracks: Sequence[Track]) -> None:
    known = {track.mid: track for track in participant.tracks}
    for index, track in enumerate(tracks):
        if track.mid not in known or known[track.mid].kind is not track.kind:
            raise mid_unknown(f"tracks[{index}].mid", track.mid)


def _with_tracks(participant: Participant, tracks: Sequence[Track]) -> Participant:
    said = {track.mid: track for track in tracks}
    return replace(participant, tracks=tuple(_as_said(track, said.get(track.mid)) for track in participant.tracks))


def _as_said(track: Track, said: Track | None) -> Track:
    return track if said is None else replace(track, source=said.source, muted=said.muted)
