"""Media sessions in a meeting's live state."""

from __future__ import annotations

from collections.abc import Sequence

from control_plane.kernel.errors import RequestIdReusedError
from control_plane.kernel.records import encode
from control_plane.log.commands import Command, prefix
from control_plane.log.errors import ParticipantNotFoundError, StaleJoinError
from control_plane.log.events import dominant_speaker_changed, participant_updated
from control_plane.log.participant import Participant, SessionKey
from control_plane.log.position import NodePosition
from control_plane.log.slots import (
    SlotAssignment,
    TrackEncodings,
    encoding_values,
    encodings_of,
    slot_values,
    slots_of,
)
from control_plane.log.state import ATTEMPTS, LiveState, back_off, contended, visible
from control_plane.media.events import encodings_changed, slots_changed
from control_plane.media.renewal import Renewal, renewed
from control_plane.platform.redis.client import answer, store_failures
from control_plane.rooms.events import move_media
from parley.signaling.v1 import event_pb2


class LiveSessions:
    """Commands about media sessions: what participants do, and what nodes say."""

    def __init__(self, state: LiveState) -> None:
        self._state = state

    async def begin_session(self, meeting_id: str, participant_id: str, session_id: str) -> None:
        """A new session of a participant is about to be opened: what its node tells of it counts from now."""
        command = self._state.present(participant_id).step("session", session_id, participant_id)
        if (await self._state.commit(meeting_id, command)).status != "ok":
            raise ParticipantNotFoundError

    async def replace_session(self, meeting_id: str, renewal: Renewal) -> Participant:
        """A participant's new session is open: it is their only one now.

        They are told what its slots carry and which of its encodings are needed.
        """
        who = renewal.read.id
        for attempt in range(ATTEMPTS):
            document, before = await self._state.read(meeting_id, who)
            slots, encodings = await self._kept(meeting_id, renewal.session_id)
            after = renewed(before, renewal)
            command = (
                Command()
                .check("document", who, document)
                .check("session", renewal.begun_id, who)
                .check("epoch", str(renewal.epoch))
                .check("hash", f"slots:{renewal.session_id}", slots)
                .check("hash", f"encodings:{renewal.session_id}", encodings)
            )
            move_media(command, renewal.epoch)
            command.step("put", who, encode(after))
            if after.session_id != before.session_id:
                self._state.signs.heard(command, who)
            self._state.signs.signalled(command, who, self._state.clock.now())
            command.step("session", after.session_id, who)
            command.step("only_session", after.session_id, who)
            command.step("slots", after.session_id, "fill", slot_values(renewal.slots))
            command.step("tracks", after.session_id, {track.mid: True for track in after.tracks})
            # What the node has told since counts.
            carried = {mid: slots.get(mid, value) for mid, value in slot_values(renewal.slots).items()}
            command.tell(slots_changed(meeting_id, slots_of(carried)), who)
            needed = {track.mid: encodings[track.mid] for track in after.tracks if track.mid in encodings}
            if needed:
                command.tell(encodings_changed(encodings_of(needed)), who)
            if visible(after) != visible(before):
                command.tell(participant_updated(meeting_id, after))
            outcome = await self._state.commit(
                meeting_id, command, operation=renewal.operation, result=after.session_id
            )
            match outcome.status:
                case "ok":
                    return after
                case "done":
                    return before
                case "session":
                    raise RequestIdReusedError
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
        command = (
            Command()
            .check("session", session.session_id, session.participant_id)
            .once(source)
            .step("slots", session.session_id, "set", slot_values(slots))
        )
        _tell_if_current(command, session, slots_changed(meeting_id, slots))
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
            event = command.attach(slots_changed(meeting_id, slots))
            command.step("slots_if_here", session.session_id, session.participant_id, slot_values(slots), event)
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
        command = (
            Command()
            .check("session", session.session_id, session.participant_id)
            .once(source)
            .step("encodings", session.session_id, encoding_values(tracks))
        )
        _tell_if_current(command, session, encodings_changed(tracks))
        await self._state.commit(meeting_id, command, traceparent=traceparent)

    async def dominant_speaker(
        self, meeting_id: str, participant_id: str, *, source: NodePosition | None = None
    ) -> None:
        """A node says who speaks."""
        command = Command().check("live")
        if participant_id:
            command.check("present", participant_id)
        event = command.attach(dominant_speaker_changed(meeting_id, participant_id))
        command.once(source).step("dominant", participant_id, event)
        await self._state.commit(meeting_id, command, traceparent="")

    async def owns(self, meeting_id: str, session: SessionKey) -> bool:
        """Whether a session is a participant's, or is about to be."""
        with store_failures():
            owner = await answer(self._state.client.hget(f"{prefix(meeting_id)}sessions", session.session_id))
        return bool(owner == session.participant_id)

    async def _kept(self, meeting_id: str, session_id: str) -> tuple[dict[str, str], dict[str, str]]:
        """Returns the texts that are kept of a session's slots and encodings, by mid."""
        with store_failures():
            pipe = self._state.client.pipeline(transaction=False)
            pipe.hgetall(f"{prefix(meeting_id)}slots:{session_id}")
            pipe.hgetall(f"{prefix(meeting_id)}encodings:{session_id}")
            slots, encodings = await pipe.execute()
        return slots, encodings


def _tell_if_current(command: Command, session: SessionKey, event: event_pb2.Event) -> None:
    command.step("tell_if_current", session.session_id, session.participant_id, command.attach(event))
