"""Media sessions in a meeting's live state."""

from __future__ import annotations

from collections.abc import Sequence

from control_plane.kernel.errors import request_id_reused
from control_plane.log import codec
from control_plane.log import event as events
from control_plane.log.commands import Command, prefix
from control_plane.log.errors import StaleJoinError, participant_not_found
from control_plane.log.event import SlotAssignment, TrackEncodings
from control_plane.log.fields import encoding_values, slot_values
from control_plane.log.participant import Participant, SessionKey
from control_plane.log.position import NodePosition
from control_plane.log.state import ATTEMPTS, LiveState, back_off, contended, move_media, visible
from control_plane.media.renewal import Renewal, renewed
from control_plane.platform.redis.client import (
    answer,
    store_failures,
)


class LiveSessions:
    """Commands about media sessions: what participants do, and what nodes say."""

    def __init__(self, state: LiveState) -> None:
        self._state = state

    async def begin_session(self, meeting_id: str, participant_id: str, session_id: str) -> None:
        """A new session of a participant is about to be opened: what its node tells of it counts from now."""
        command = self._state.present(participant_id).step("session", session_id, participant_id)
        if (await self._state.commit(meeting_id, command)).status != "ok":
            raise participant_not_found()

    async def replace_session(self, meeting_id: str, renewal: Renewal) -> Participant:
        """A participant's new session is open: it is their only one now.

        They are told what its slots carry and which of its encodings are needed.
        """
        who = renewal.read.id
        for attempt in range(ATTEMPTS):
            document, before = await self._state.read(meeting_id, who)
            after = renewed(before, renewal)
            command = (
                Command()
                .check("document", who, document)
                .check("session", renewal.begun_id, who)
                .check("epoch", str(renewal.epoch))
            )
            move_media(command, renewal.epoch)
            command.step("put", who, codec.encode(after))
            if after.session_id != before.session_id:
                self._state.signs.heard(command, who)
            self._state.signs.signalled(command, who, self._state.clock.now())
            command.step("session", after.session_id, who)
            command.step("only_session", after.session_id, who)
            command.step("slots", after.session_id, "fill", slot_values(renewal.slots))
            command.step("tracks", after.session_id, {track.mid: True for track in after.tracks})
            command.step("tell_slots", after.session_id, who)
            command.step("tell_encodings", after.session_id, who)
            if visible(after) != visible(before):
                command.tell(events.ParticipantUpdated(after))
            outcome = await self._state.commit(
                meeting_id, command, operation=renewal.operation, result=after.session_id
            )
            match outcome.status:
                case "ok":
                    return after
                case "done":
                    return before
                case "session":
                    raise request_id_reused()
                case "epoch":
                    raise StaleJoinError(outdated=True)
            await back_off(attempt)
        raise contended(who)

    async def slots_changed(
        self,
        meeting_id: str,
        session: SessionKey,
        slots: Sequence[SlotAssignment],
        *,
        source: NodePosition | None = None,
        traceparent: str | None = None,
    ) -> None:
        """A node says what slots carry; its participant is told if the session is theirs."""
        event = events.SlotsChanged(tuple(slots))
        command = (
            Command()
            .check("session", session.session_id, session.participant_id)
            .once(source)
            .step("slots", session.session_id, "set", slot_values(slots))
        )
        _tell_if_current(command, session, event)
        await self._state.commit(meeting_id, command, traceparent=traceparent)

    async def room_slots_changed(
        self,
        meeting_id: str,
        changes: Sequence[tuple[SessionKey, Sequence[SlotAssignment]]],
        *,
        source: NodePosition | None = None,
    ) -> None:
        """A node says what slots of several sessions carry, in one step; sessions that are gone are passed over."""
        keys = [name for session, _ in changes for name in (session.session_id, session.participant_id)]
        command = Command().check("any_session", *keys).once(source)
        for session, slots in changes:
            event = events.SlotsChanged(tuple(slots))
            kind, text = codec.event_name(event), codec.encode(event)
            command.step("slots_if_here", session.session_id, session.participant_id, slot_values(slots), kind, text)
        await self._state.commit(meeting_id, command, traceparent="")

    async def encodings_changed(
        self,
        meeting_id: str,
        session: SessionKey,
        tracks: Sequence[TrackEncodings],
        *,
        source: NodePosition | None = None,
        traceparent: str | None = None,
    ) -> None:
        """A node says which encodings of tracks are needed; their participant is told if the session is theirs."""
        event = events.EncodingsChanged(tuple(tracks))
        command = (
            Command()
            .check("session", session.session_id, session.participant_id)
            .once(source)
            .step("encodings", session.session_id, encoding_values(tracks))
        )
        _tell_if_current(command, session, event)
        await self._state.commit(meeting_id, command, traceparent=traceparent)

    async def dominant_speaker(
        self, meeting_id: str, participant_id: str, *, source: NodePosition | None = None
    ) -> None:
        """A node says who speaks."""
        event = events.DominantSpeakerChanged(participant_id)
        command = Command().check("live")
        if participant_id:
            command.check("present", participant_id)
        command.once(source).step("dominant", participant_id, codec.encode(event))
        await self._state.commit(meeting_id, command, traceparent="")

    async def owns(self, meeting_id: str, session: SessionKey) -> bool:
        """Whether a session is a participant's, or is about to be."""
        with store_failures():
            owner = await answer(self._state.client.hget(f"{prefix(meeting_id)}sessions", session.session_id))
        return bool(owner == session.participant_id)


def _tell_if_current(command: Command, session: SessionKey, event: events.Event) -> None:
    kind, text = codec.event_name(event), codec.encode(event)
    command.step("tell_if_current", session.session_id, session.participant_id, kind, text)
