"""The live state of meetings in Redis: every change is one atomic step together with the events that tell of it."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from control_plane.kernel.clock import Clock
from control_plane.kernel.records import UnreadableRecordError, decode, encode
from control_plane.log.commands import KEEP_EMPTY_MS, Command, Committer, Outcome, prefix
from control_plane.log.cursor import BEGINNING, Cursor
from control_plane.log.errors import ParticipantNotFoundError
from control_plane.log.events import dominant_speaker_changed, participant_left, participant_updated
from control_plane.log.participant import LeaveReason, MediaStateEvent, Participant
from control_plane.log.position import NodePosition
from control_plane.log.signs import SignsOfLife
from control_plane.log.slots import encodings_of, slots_of
from control_plane.log.view import LiveView
from control_plane.meetings.model import Meeting
from control_plane.platform.quarantine import Quarantine
from control_plane.platform.redis.client import (
    Call,
    RedisClient,
    Script,
    answer,
    from_milliseconds,
    milliseconds,
    pairs,
    store_failures,
    together,
)
from control_plane.platform.set_aside import RecordKind

_DUE: Final = "parley:live"
_MOST_DUE: Final = 20_000
ATTEMPTS: Final = 12
_ID: Final = re.compile(r'"id":"([0-9a-zA-Z-]{1,64})"')


class LiveState:
    """A meeting's live state: what all capabilities read of it, and the commands that more than one of them gives."""

    def __init__(
        self, client: RedisClient, clock: Clock, commit: Committer, signs: SignsOfLife, quarantine: Quarantine
    ) -> None:
        self.client = client
        self.clock = clock
        self.commit = commit
        self.signs = signs
        self._quarantine = quarantine
        self._snapshot = Script.load(client, "control_plane.log", "snapshot")

    async def view(
        self, meeting_id: str, participant_id: str = "", *, operation: str = "", brief: bool = False
    ) -> LiveView:
        """Returns the live state, with the slots of one participant and the result of an operation."""
        arguments = [participant_id, operation, "brief" if brief else ""]
        return self._view(meeting_id, await self._snapshot([prefix(meeting_id)], arguments))

    async def commit_and_look(self, meeting_id: str, command: Command) -> Outcome:
        """Carries a command out, and sees to it that the meeting is looked at in time: in one round trip."""
        calls = [self.commit.call(meeting_id, command), self._look(meeting_id)]
        return Outcome(*(await together(self.client, calls, [self.commit.script]))[0])

    async def commit_and_view(
        self, meeting_id: str, command: Command, participant_id: str, *, operation: str, result: str
    ) -> tuple[Outcome, LiveView]:
        """Does the same, and returns the live state after it with the slots of one participant."""
        calls = [
            self.commit.call(meeting_id, command, operation=operation, result=result),
            self._look(meeting_id),
            self._snapshot.call([prefix(meeting_id)], [participant_id, "", ""]),
        ]
        done, _, seen = await together(self.client, calls, [self.commit.script, self._snapshot])
        return Outcome(*done), self._view(meeting_id, seen)

    def _view(self, meeting_id: str, seen: Sequence[Any]) -> LiveView:
        meta_flat, people, slots, encodings, done = seen
        meta = pairs(meta_flat)
        documents = [text for text in people.split("\n") if text]
        read = [self._person(meeting_id, text) for text in documents]
        participants = sorted((one for one in read if one is not None), key=lambda p: (p.join_time, p.id))
        return LiveView(
            meeting_id=meeting_id,
            meeting=self.read_meeting(meeting_id, meta["meeting"]) if "meeting" in meta else None,
            participants=tuple(participants),
            slots=slots_of(pairs(slots)),
            encodings=encodings_of(pairs(encodings)),
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
        _, person = await self.read(meeting_id, participant_id)
        return person

    async def counts(self, meeting_ids: Sequence[str]) -> Mapping[str, int]:
        """Returns how many people are in each meeting."""
        if not meeting_ids:
            return {}
        with store_failures():
            pipe = self.client.pipeline(transaction=False)
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

    async def withdraw(self, meeting_id: str, participant_id: str, session_id: str) -> None:
        """Gives a kept place back."""
        command = Command().step("unreserve", participant_id).step("drop_session", session_id)
        await self.commit(meeting_id, command)

    async def leave(
        self, meeting_id: str, participant_id: str, reason: LeaveReason, *, silent_since: datetime | None = None
    ) -> Participant | None:
        """Takes somebody out, and tells everyone."""
        for attempt in range(ATTEMPTS):
            try:
                document = await self._document(meeting_id, participant_id)
            except ParticipantNotFoundError:
                return None
            # Somebody whom this version can't read leaves all the same, without a history.
            person = self._person(meeting_id, document, participant_id)
            command = Command().check("document", participant_id, document)
            if silent_since is not None:
                command.check("expired", participant_id, str(milliseconds(silent_since)))
            command.tell(participant_left(meeting_id, participant_id, reason))
            nobody_speaks = command.attach(dominant_speaker_changed(meeting_id, ""))
            command.step("remove", participant_id, KEEP_EMPTY_MS, nobody_speaks)
            if person is not None:
                command.history(person, self.clock.now(), reason.value)
            status = (await self.commit(meeting_id, command)).status
            if status == "ok":
                return person
            if status == "expired":
                return None
            await back_off(attempt)
        raise contended(participant_id)

    async def signalled(self, meeting_id: str, participant_id: str) -> bool:
        """Notes a sign of life; returns whether nothing comes over the participant's media connection."""
        outcome = await self.commit(meeting_id, self.present(participant_id))
        if outcome.status != "ok":
            raise ParticipantNotFoundError
        return outcome.detail == "silent"

    def present(self, participant_id: str) -> Command:
        """Begins what a call of somebody does who has to be in the meeting; the call is a sign of life."""
        return self.signs.signalled(Command().check("present", participant_id), participant_id, self.clock.now())

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
        for attempt in range(ATTEMPTS):
            document, before = await self.read(meeting_id, participant_id)
            after = change(before)
            if after == before and source is None and media is None:
                return before
            command = Command().check("document", participant_id, document).once(source)
            if media is not None and media.session.session_id == before.session_id:
                self.signs.media_changed(command, before, media, self.clock.now())
            if after != before:
                command.step("put", participant_id, encode(after))
            if visible(after) != visible(before):
                command.tell(participant_updated(meeting_id, after))
            status = (await self.commit(meeting_id, command, traceparent=traceparent)).status
            if status in {"ok", "node_event", "node_state"}:
                if media is not None and not media.connected:
                    # Their presence may end sooner now. This comes after the commit, so that it is seen.
                    await self.look_soon(meeting_id, now=True)
                return after
            await back_off(attempt)
        raise contended(participant_id)

    async def drop_event(self, meeting_id: str, position: str) -> None:
        """Takes an event out of a meeting's log."""
        with store_failures():
            await answer(self.client.xdel(f"{prefix(meeting_id)}log", position))

    async def due(self, now: datetime) -> Sequence[str]:
        """Returns meetings that have to be looked at now, the first due first."""
        with store_failures():
            found: list[str] = await answer(
                self.client.zrange(_DUE, "-inf", milliseconds(now), byscore=True, offset=0, num=_MOST_DUE)
            )
        return found

    async def known(self, limit: int = 10_000) -> Sequence[str]:
        """Returns meetings that somebody is in, or was a moment ago."""
        with store_failures():
            found: list[str] = await answer(self.client.zrange(_DUE, 0, limit - 1))
        return found

    async def look_again(self, meeting_id: str, when: datetime | None) -> None:
        """Says when a meeting has to be looked at next; None: not any more."""
        with store_failures():
            if when is not None:
                await answer(self.client.zadd(_DUE, {meeting_id: milliseconds(when)}))
                return
            await answer(self.client.zrem(_DUE, meeting_id))
            # Somebody may have come in between the look and here.
            if await answer(self.client.hlen(f"{prefix(meeting_id)}participants")):
                await self.look_soon(meeting_id)

    async def look_soon(self, meeting_id: str, *, now: bool = False) -> None:
        """Sees to it that a meeting is looked at when its first presence can have expired, or at once."""
        with store_failures():
            await answer(self.client.execute_command(*self._look(meeting_id, now=now)))

    def _look(self, meeting_id: str, *, now: bool = False) -> Call:
        score = milliseconds(self.clock.now()) + (0 if now else self.signs.usual_ms)
        return ("ZADD", _DUE, *(() if now else ("NX",)), score, meeting_id)

    async def read(self, meeting_id: str, participant_id: str) -> tuple[str, Participant]:
        """Returns a participant with their document, which a change has to name.

        Raises:
            DomainError: PARTICIPANT_NOT_FOUND: they are not there, or not such as this version can read.
        """
        document = await self._document(meeting_id, participant_id)
        person = self._person(meeting_id, document, participant_id)
        if person is None:
            raise ParticipantNotFoundError
        return document, person

    def _person(self, meeting_id: str, document: str, participant_id: str = "") -> Participant | None:
        try:
            return decode(Participant, document)
        except UnreadableRecordError as error:
            self._quarantine.note(RecordKind.PARTICIPANT, f"{meeting_id}/{participant_id or _id_in(document)}", error)
            return None

    def read_meeting(self, meeting_id: str, document: str) -> Meeting | None:
        """Returns the meeting in a document; None: this version can't read it, and it was set aside."""
        try:
            return decode(Meeting, document)
        except UnreadableRecordError as error:
            self._quarantine.note(RecordKind.MEETING, meeting_id, error)
            return None

    async def meeting_document(self, meeting_id: str) -> str:
        """Returns the document of a meeting's own fields, which a change has to name; empty: there is none."""
        with store_failures():
            text: str | None = await answer(self.client.hget(f"{prefix(meeting_id)}meta", "meeting"))
        return text or ""

    async def _document(self, meeting_id: str, participant_id: str) -> str:
        with store_failures():
            text: str | None = await answer(self.client.hget(f"{prefix(meeting_id)}participants", participant_id))
        if text is None:
            raise ParticipantNotFoundError
        return text


def _id_in(document: str) -> str:
    """Returns the id in a document that can't be read, as far as it shows one."""
    match = _ID.search(document)
    return match[1] if match else "unknown"


def visible(participant: Participant) -> Participant:
    """Returns what others can see of a participant."""
    return replace(participant, session_id="", subject="", epoch=0)


async def back_off(attempt: int) -> None:
    """Waits before a change is tried again that somebody else was quicker with."""
    # Two writers of one participant meet rarely; a random pause keeps them from meeting again.
    await asyncio.sleep(random.uniform(0, 0.002 * (attempt + 1)))  # noqa: S311 -- no secret


def contended(name: str) -> RuntimeError:
    """Somebody else was quicker each time."""
    return RuntimeError(f"{name} changed {ATTEMPTS} times while being written")
