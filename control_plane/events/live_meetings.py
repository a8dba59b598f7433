"""The live state of meetings in Redis: every change is one atomic step together with the events that tell of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, NoReturn

from control_plane.application.live_ports import Joining, LiveView, Renewal
from control_plane.application.media_ports import MediaStateEvent, NodePosition, SessionKey, StaleJoinError
from control_plane.application.quarantine import Quarantine, RecordKind
from control_plane.domain import event as events
from control_plane.domain.clock import Clock
from control_plane.domain.errors import DomainError, rate_limited, request_id_reused
from control_plane.domain.event import LeaveReason, SlotAssignment, TrackEncodings
from control_plane.domain.meeting import Meeting
from control_plane.domain.meeting_errors import meeting_ended
from control_plane.domain.participant import Participant, ParticipantRole
from control_plane.domain.records import UnreadableRecordError, with_others_of
from control_plane.domain.signaling_errors import joined_too_often, meeting_full, participant_not_found
from control_plane.events import codec
from control_plane.events.commands import KEEP_EMPTY_MS, KEEP_ENDED_MS, Command, Committer, prefix
from control_plane.events.cursor import BEGINNING, Cursor
from control_plane.events.fields import encoding_values, id_in, slot, slot_values, track_encodings
from control_plane.events.renewal import renewed
from control_plane.events.signs import SignsOfLife
from control_plane.redis_store import (
    RedisClient,
    Script,
    answer,
    from_milliseconds,
    milliseconds,
    pairs,
    store_failures,
)

_DUE: Final = "parley:live"
_RESERVATION: Final = timedelta(seconds=15)
_ENDING: Final = timedelta(seconds=10)
"""So long an empty meeting lets nobody in while it is being ended."""
_NODES_SEEN: Final = 64
"""Processes of media nodes of which a meeting remembers what it has seen."""
_ATTEMPTS: Final = 12
_REACTIONS_PER_SECOND: Final = 5
_DEVICES: Final = 5
"""So often one user or guest is in a meeting at most, those counted that are about to be missed."""
_REACTION_GAP_MS: Final = 1000 // _REACTIONS_PER_SECOND
# Two pages of one participant that take each other's stream are held back; one whose connection broke is not.
_REPLACED_GAP_MS: Final = 6_000
_REPLACED_AT_ONCE: Final = 2
_REPLACED_COUNTED: Final = 20
_TOO_MANY_REACTIONS: Final = f"At most {_REACTIONS_PER_SECOND} reactions a second."


class RedisLiveMeetings:
    """Implements `LiveMeetings`."""

    def __init__(
        self, client: RedisClient, clock: Clock, commit: Committer, signs: SignsOfLife, quarantine: Quarantine
    ) -> None:
        self._client = client
        self._clock = clock
        self._commit = commit
        self._signs = signs
        self._quarantine = quarantine
        self._snapshot = Script.load(client, "control_plane.events", "snapshot")

    # ------------------------------------------------------------ reading

    async def view(
        self, meeting_id: str, participant_id: str = "", *, operation: str = "", brief: bool = False
    ) -> LiveView:
        """Returns the live state, with the slots of one participant and the result of an operation."""
        arguments = [participant_id, operation, "brief" if brief else ""]
        meta_flat, people, slots, encodings, done = await self._snapshot([prefix(meeting_id)], arguments)
        meta = pairs(meta_flat)
        documents = [text for text in people.split("\n") if text]
        read = [self._person(meeting_id, text) for text in documents]
        participants = sorted((one for one in read if one is not None), key=lambda p: (p.join_time, p.id))
        return LiveView(
            meeting_id=meeting_id,
            meeting=self._meeting(meeting_id, meta["meeting"]) if "meeting" in meta else None,
            participants=tuple(participants),
            slots=tuple(slot(mid, value) for mid, value in sorted(pairs(slots).items())),
            encodings=tuple(track_encodings(mid, rids) for mid, rids in sorted(pairs(encodings).items())),
            dominant_speaker=meta.get("dominant", ""),
            epoch=int(meta.get("epoch", 0)),
            ended="ended" in meta,
            empty_since=from_milliseconds(meta["empty_since"]) if "empty_since" in meta and not documents else None,
            cursor=str(Cursor(meeting_id, meta.get("generation", "0" * 8), meta.get("last", BEGINNING))),
            operation=done[0] if done else None,
            unreadable=len(documents) - len(participants),
        )

    async def participant(self, meeting_id: str, participant_id: str) -> Participant:
        """Returns somebody who is in the meeting."""
        _, person = await self._read(meeting_id, participant_id)
        return person

    async def counts(self, meeting_ids: Sequence[str]) -> Mapping[str, int]:
        """Returns how many people are in each meeting."""
        if not meeting_ids:
            return {}
        with store_failures():
            pipe = self._client.pipeline(transaction=False)
            for meeting_id in meeting_ids:
                pipe.hlen(f"{prefix(meeting_id)}participants")
            counts = await pipe.execute(raise_on_error=False)
        for meeting_id, count in zip(meeting_ids, counts, strict=True):
            if isinstance(count, Exception):
                self._quarantine.note(RecordKind.MEETING, meeting_id, count)
        return {
            meeting_id: count if isinstance(count, int) else 0
            for meeting_id, count in zip(meeting_ids, counts, strict=True)
        }

    # ------------------------------------------------------------ coming and going

    async def reserve(
        self,
        meeting_id: str,
        participant_id: str,
        session_id: str,
        limit: int,
        *,
        subject: str = "",
        is_host: bool = False,
    ) -> None:
        """Keeps a place for somebody about to join, for a short time."""
        now = self._clock.now()
        await self.look_soon(meeting_id)
        command = Command().check("open")
        _check_place(command, participant_id, limit, now, subject, is_host=is_host)
        command.step("reserve", participant_id, str(milliseconds(now + _RESERVATION)))
        command.step("session", session_id, participant_id)
        outcome = await self._commit(meeting_id, command)
        if outcome.status != "ok":
            _refuse(outcome.status, meeting_id, limit)

    async def withdraw(self, meeting_id: str, participant_id: str, session_id: str) -> None:
        """Gives a kept place back."""
        command = Command().step("unreserve", participant_id).step("drop_session", session_id)
        await self._commit(meeting_id, command)

    async def join(self, joining: Joining) -> None:
        """Puts somebody in the place that was kept, and tells everyone."""
        person, meeting = joining.participant, joining.meeting
        limit, now = meeting.settings.max_participants, self._clock.now()
        command = (
            Command().check("open").check("epoch", str(joining.epoch)).check("session", person.session_id, person.id)
        )
        is_host = person.role is ParticipantRole.HOST
        _check_place(command, person.id, limit, now, person.subject, is_host=is_host)
        _set_meeting(command, meeting, known="")
        _move_media(command, joining.epoch)
        command.step("put", person.id, codec.encode(person))
        self._signs.signalled(command, person.id, now)
        command.step("slots", person.session_id, "fill", slot_values(joining.slots))
        command.tell(events.ParticipantJoined(person)).history(person, None, "")
        outcome = await self._commit(meeting.number, command, operation=joining.operation, result=joining.fingerprint)
        if outcome.status not in {"ok", "done"}:
            _refuse(outcome.status, meeting.number, limit)
        await self.look_soon(meeting.number)

    async def leave(
        self, meeting_id: str, participant_id: str, reason: LeaveReason, *, silent_since: datetime | None = None
    ) -> Participant | None:
        """Takes somebody out, and tells everyone."""
        for attempt in range(_ATTEMPTS):
            try:
                document = await self._document(meeting_id, participant_id)
            except DomainError as error:
                if error.reason == "PARTICIPANT_NOT_FOUND":
                    return None
                raise
            # Somebody whom this version can't read leaves all the same, without a history.
            person = self._person(meeting_id, document, participant_id)
            command = Command().check("document", participant_id, document)
            if silent_since is not None:
                command.check("expired", participant_id, str(milliseconds(silent_since)))
            command.tell(events.ParticipantLeft(participant_id, reason))
            command.step("remove", participant_id, KEEP_EMPTY_MS)
            if person is not None:
                command.history(person, self._clock.now(), reason.value)
            status = (await self._commit(meeting_id, command)).status
            if status == "ok":
                return person
            if status == "expired":
                return None
            await _back_off(attempt)
        raise _contended(participant_id)

    async def signalled(self, meeting_id: str, participant_id: str) -> bool:
        """Notes a sign of life; returns whether nothing comes over the participant's media connection."""
        outcome = await self._commit(meeting_id, self._present(participant_id))
        if outcome.status != "ok":
            raise participant_not_found()
        return outcome.detail == "silent"

    def _present(self, participant_id: str) -> Command:
        """Begins what a call of somebody does who has to be in the meeting; the call is a sign of life."""
        return self._signs.signalled(Command().check("present", participant_id), participant_id, self._clock.now())

    async def silent(self, meeting_id: str, now: datetime) -> tuple[Sequence[str], datetime | None]:
        """Returns who has given no sign of life in time, and when the next one's time ends."""
        name = f"{prefix(meeting_id)}presence"
        with store_failures():
            pipe = self._client.pipeline(transaction=True)
            pipe.zrangebyscore(name, "-inf", milliseconds(now))
            pipe.zrangebyscore(name, f"({milliseconds(now)}", "+inf", start=0, num=1, withscores=True)
            silent, following = await pipe.execute()
        return silent, from_milliseconds(following[0][1]) if following else None

    # ------------------------------------------------------------ changing

    async def change(
        self,
        meeting_id: str,
        participant_id: str,
        change: Callable[[Participant], Participant],
        *,
        media: MediaStateEvent | None = None,
        source: NodePosition | None = None,
        traceparent: str | None = None,
    ) -> Participant:
        """Changes a participant and tells everyone what they can see of it."""
        for attempt in range(_ATTEMPTS):
            document, before = await self._read(meeting_id, participant_id)
            after = change(before)
            if after == before and source is None and media is None:
                return before
            command = Command().check("document", participant_id, document).once(source)
            if media is not None and media.session.session_id == before.session_id:
                self._signs.media_changed(command, before, media, self._clock.now())
            if after != before:
                command.step("put", participant_id, codec.encode(after))
            if _visible(after) != _visible(before):
                command.tell(events.ParticipantUpdated(after))
            status = (await self._commit(meeting_id, command, traceparent=traceparent)).status
            if status in {"ok", "node_event", "node_state"}:
                if media is not None and not media.connected:
                    # Their presence may end sooner now. This comes after the commit, so that it is seen.
                    await self.look_soon(meeting_id, now=True)
                return after
            await _back_off(attempt)
        raise _contended(participant_id)

    async def begin_session(self, meeting_id: str, participant_id: str, session_id: str) -> None:
        """A new session of a participant is about to be opened: what its node tells of it counts from now."""
        command = self._present(participant_id).step("session", session_id, participant_id)
        if (await self._commit(meeting_id, command)).status != "ok":
            raise participant_not_found()

    async def replace_session(self, meeting_id: str, renewal: Renewal) -> Participant:
        """A participant's new session is open: it is their only one now.

        They are told what its slots carry and which of its encodings are needed.
        """
        who = renewal.read.id
        for attempt in range(_ATTEMPTS):
            document, before = await self._read(meeting_id, who)
            after = renewed(before, renewal)
            command = (
                Command()
                .check("document", who, document)
                .check("session", renewal.begun_id, who)
                .check("epoch", str(renewal.epoch))
            )
            _move_media(command, renewal.epoch)
            command.step("put", who, codec.encode(after))
            if after.session_id != before.session_id:
                self._signs.heard(command, who)
            self._signs.signalled(command, who, self._clock.now())
            command.step("session", after.session_id, who)
            command.step("only_session", after.session_id, who)
            command.step("slots", after.session_id, "fill", slot_values(renewal.slots))
            command.step("tracks", after.session_id, {track.mid: True for track in after.tracks})
            command.step("tell_slots", after.session_id, who)
            command.step("tell_encodings", after.session_id, who)
            if _visible(after) != _visible(before):
                command.tell(events.ParticipantUpdated(after))
            outcome = await self._commit(meeting_id, command, operation=renewal.operation, result=after.session_id)
            match outcome.status:
                case "ok":
                    return after
                case "done":
                    return before
                case "session":
                    raise request_id_reused()
                case "epoch":
                    raise StaleJoinError(outdated=True)
            await _back_off(attempt)
        raise _contended(who)

    async def react(self, meeting_id: str, participant_id: str, emoji: str, request_id: str) -> None:
        """Shows everyone an emoji."""
        now = str(milliseconds(self._clock.now()))
        command = (
            self._present(participant_id)
            .check("rate", f"reaction:{participant_id}", now, _REACTION_GAP_MS, _REACTIONS_PER_SECOND)
            .tell(events.ReactionSent(participant_id, emoji))
        )
        outcome = await self._commit(meeting_id, command, operation=f"react:{participant_id}:{request_id}")
        if outcome.status == "present":
            raise participant_not_found()
        if outcome.status == "rate":
            raise rate_limited(_TOO_MANY_REACTIONS, _REACTION_GAP_MS / 1000)

    # ------------------------------------------------------------ what nodes say

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
        await self._commit(meeting_id, command, traceparent=traceparent)

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
        await self._commit(meeting_id, command, traceparent="")

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
        await self._commit(meeting_id, command, traceparent=traceparent)

    async def dominant_speaker(
        self, meeting_id: str, participant_id: str, *, source: NodePosition | None = None
    ) -> None:
        """A node says who speaks."""
        event = events.DominantSpeakerChanged(participant_id)
        command = Command().check("live")
        if participant_id:
            command.check("present", participant_id)
        command.once(source).step("dominant", participant_id, codec.encode(event))
        await self._commit(meeting_id, command, traceparent="")

    async def owns(self, meeting_id: str, session: SessionKey) -> bool:
        """Whether a session is a participant's, or is about to be."""
        with store_failures():
            owner = await answer(self._client.hget(f"{prefix(meeting_id)}sessions", session.session_id))
        return bool(owner == session.participant_id)

    async def media_moved(self, meeting_id: str, epoch: int) -> None:
        """The room is served under this epoch now: everyone is told, once."""
        command = Command().check("live")
        _move_media(command, epoch)
        await self._commit(meeting_id, command)

    # ------------------------------------------------------------ the meeting itself

    async def set_meeting(self, meeting: Meeting, *, operation: str, traceparent: str | None = None) -> None:
        """The meeting's own fields changed: those who are in it are told."""
        for attempt in range(_ATTEMPTS):
            document = await self._meeting_document(meeting.number)
            before = self._meeting(meeting.number, document) if document else None
            # A newer version may have written more of it here than this one finds in the database.
            after = meeting if before is None else with_others_of(meeting, before)
            command = Command().check("live").check("meeting", document)
            _set_meeting(command, after, known="known")
            outcome = await self._commit(meeting.number, command, operation=operation, traceparent=traceparent)
            if outcome.status != "meeting":
                return
            await _back_off(attempt)
        raise _contended(meeting.number)

    async def passcode_guessed(self, meeting_id: str, failures: int) -> None:
        """Somebody seems to be searching for the passcode: hosts who are in the meeting are told."""
        view = await self.view(meeting_id)
        hosts = [one.id for one in view.participants if one.role is ParticipantRole.HOST]
        if hosts:
            command = Command().check("live")
            for host in hosts:
                command.tell(events.PasscodeGuessed(failures), host)
            await self._commit(meeting_id, command)

    async def end(
        self, meeting_id: str, participant_id: str, *, operation: str, traceparent: str | None = None
    ) -> None:
        """The meeting is over: everyone is told, once, and is out."""
        command = (
            Command()
            .check("live")
            .tell(events.MeetingEnded(participant_id))
            .step("clear", KEEP_ENDED_MS, LeaveReason.MEETING_ENDED.value)
        )
        await self.look_soon(meeting_id, now=True)
        await self._commit(meeting_id, command, operation=operation, traceparent=traceparent)

    async def begin_end(self, meeting_id: str) -> bool:
        """Lets nobody into an empty meeting for a short time, in which it is to be ended."""
        until = milliseconds(self._clock.now() + _ENDING)
        command = Command().check("live").check("empty").step("ending", str(until))
        return (await self._commit(meeting_id, command)).status == "ok"

    async def vacate(self, meeting_id: str, epoch: int) -> bool:
        """Refuses joins to the placement of an empty meeting's room, which is to be released."""
        command = Command().check("empty").step("vacate", str(epoch))
        return (await self._commit(meeting_id, command)).status == "ok"

    async def tidy(self, meeting_id: str) -> None:
        """Forgets sessions that were begun for somebody who never came in."""
        await self._commit(meeting_id, Command().step("tidy", _NODES_SEEN), traceparent="")

    async def drop_event(self, meeting_id: str, position: str) -> None:
        """Takes an event out of a meeting's log."""
        with store_failures():
            await answer(self._client.xdel(f"{prefix(meeting_id)}log", position))

    async def may_open_stream(self, meeting_id: str, participant_id: str) -> bool:
        """Whether a participant may open a stream now: not while their streams have replaced each other too often."""
        with store_failures():
            due = await answer(self._client.get(f"{prefix(meeting_id)}rate:{_replaced(participant_id)}"))
        ahead = float(due or 0) - milliseconds(self._clock.now())
        return ahead <= _REPLACED_GAP_MS * (_REPLACED_AT_ONCE - 1)

    async def stream_replaced(self, meeting_id: str, participant_id: str) -> None:
        """A stream of a participant ends, since they opened another."""
        now = str(milliseconds(self._clock.now()))
        name = _replaced(participant_id)
        await self._commit(meeting_id, Command().check("rate", name, now, _REPLACED_GAP_MS, _REPLACED_COUNTED))

    async def open_stream(self, meeting_id: str, participant_id: str, stream_id: str) -> str:
        """A participant watches from now on by this stream and by no other; returns the position of that entry."""
        command = self._present(participant_id).tell(events.StreamOpened(stream_id), participant_id)
        outcome = await self._commit(meeting_id, command)
        if outcome.status != "ok":
            raise participant_not_found()
        return outcome.position

    # ------------------------------------------------------------ what has to be looked at

    async def due(self, now: datetime, limit: int) -> Sequence[str]:
        """Returns meetings that have to be looked at now."""
        with store_failures():
            found: list[str] = await answer(
                self._client.zrange(_DUE, "-inf", milliseconds(now), byscore=True, offset=0, num=limit)
            )
        return found

    async def known(self, limit: int = 10_000) -> Sequence[str]:
        """Returns meetings that somebody is in, or was a moment ago."""
        with store_failures():
            found: list[str] = await answer(self._client.zrange(_DUE, 0, limit - 1))
        return found

    async def look_again(self, meeting_id: str, when: datetime | None) -> None:
        """Says when a meeting has to be looked at next; None: not any more."""
        with store_failures():
            if when is not None:
                await answer(self._client.zadd(_DUE, {meeting_id: milliseconds(when)}))
                return
            await answer(self._client.zrem(_DUE, meeting_id))
            # Somebody may have come in between the look and here.
            if await answer(self._client.hlen(f"{prefix(meeting_id)}participants")):
                await self.look_soon(meeting_id)

    async def look_soon(self, meeting_id: str, *, now: bool = False) -> None:
        """Sees to it that a meeting is looked at when its first presence can have expired, or at once."""
        score = milliseconds(self._clock.now()) + (0 if now else self._signs.usual_ms)
        with store_failures():
            await answer(self._client.zadd(_DUE, {meeting_id: score}, nx=not now))

    async def _read(self, meeting_id: str, participant_id: str) -> tuple[str, Participant]:
        """Returns a participant with their document, which a change has to name.

        Raises:
            DomainError: PARTICIPANT_NOT_FOUND: they are not there, or not such as this version can read.
        """
        document = await self._document(meeting_id, participant_id)
        person = self._person(meeting_id, document, participant_id)
        if person is None:
            raise participant_not_found()
        return document, person

    def _person(self, meeting_id: str, document: str, participant_id: str = "") -> Participant | None:
        try:
            return codec.decode(Participant, document)
        except UnreadableRecordError as error:
            self._quarantine.note(RecordKind.PARTICIPANT, f"{meeting_id}/{participant_id or id_in(document)}", error)
            return None

    def _meeting(self, meeting_id: str, document: str) -> Meeting | None:
        try:
            return codec.decode(Meeting, document)
        except UnreadableRecordError as error:
            self._quarantine.note(RecordKind.MEETING, meeting_id, error)
            return None

    async def _meeting_document(self, meeting_id: str) -> str:
        with store_failures():
            text: str | None = await answer(self._client.hget(f"{prefix(meeting_id)}meta", "meeting"))
        return text or ""

    async def _document(self, meeting_id: str, participant_id: str) -> str:
        with store_failures():
            text: str | None = await answer(self._client.hget(f"{prefix(meeting_id)}participants", participant_id))
        if text is None:
            raise participant_not_found()
        return text


def _replaced(participant_id: str) -> str:
    return f"replaced:{participant_id}"


def _check_place(
    command: Command, participant_id: str, limit: int, now: datetime, subject: str, *, is_host: bool
) -> None:
    """A place is free, for somebody who is not in the meeting too often; from then on it is theirs."""
    host = "host" if is_host else ""
    command.check("capacity", participant_id, limit, str(milliseconds(now)), host)
    # Hosts may fill their own meeting.
    if subject and not is_host:
        command.check("devices", participant_id, subject, _DEVICES)
    command.step("person", participant_id, f"{host} {subject}")


def _refuse(check: str, meeting_id: str, limit: int) -> NoReturn:
    if check == "open":
        raise meeting_ended()
    if check == "capacity":
        raise meeting_full(meeting_id, limit)
    if check == "devices":
        raise joined_too_often(_DEVICES)
    raise StaleJoinError(outdated=check == "epoch")


def _set_meeting(command: Command, meeting: Meeting, *, known: str) -> None:
    event = codec.encode(events.MeetingUpdated(meeting))
    command.step("meeting", codec.encode(meeting), str(meeting.revision), known, event)


def _move_media(command: Command, epoch: int) -> None:
    command.step("media_epoch", str(epoch), codec.encode(events.MediaMoved(epoch)))


def _visible(participant: Participant) -> Participant:
    return replace(participant, session_id="", subject="", epoch=0)


def _tell_if_current(command: Command, session: SessionKey, event: events.Event) -> None:
    kind, text = codec.event_name(event), codec.encode(event)
    command.step("tell_if_current", session.session_id, session.participant_id, kind, text)


async def _back_off(attempt: int) -> None:
    # Two writers of one participant meet rarely; a random pause keeps them from meeting again.
    await asyncio.sleep(random.uniform(0, 0.002 * (attempt + 1)))  # noqa: S311 -- no secret


def _contended(name: str) -> RuntimeError:
    return RuntimeError(f"{name} changed {_ATTEMPTS} times while being written")
