"""What the database says of a meeting reaches those who are in it."""

from __future__ import annotations

import pytest

from control_plane.kernel.errors import DomainError
from control_plane.meetings.events import meeting_ended, meeting_updated
from tests.control_plane.conftest import MakeReplica
from tests.support.live import (
    FakeNode,
    MemoryDirectory,
    Replica,
    Watching,
    attendee,
    eventually,
)

MEETING = "12345678901"


async def test_a_change_of_the_meeting_reaches_its_participants_once(
    replica: Replica, make_replica: MakeReplica, directory: MemoryDirectory
) -> None:
    replica.part.start()
    ana = await replica.join("Ana")
    watching = Watching(replica, ana)
    meeting = directory.rename(MEETING, "A new topic")
    entry = directory.entries[0]
    await replica.part.relay.run_once()
    directory.entries.append(entry)  # the relay died before it could forget the entry
    await make_replica().part.relay.run_once()
    directory.end(MEETING)
    await replica.part.relay.run_once()
    await eventually(watching.task.done)

    assert watching.events == [meeting_updated(meeting), meeting_ended(MEETING, "")]


async def test_the_end_of_a_meeting_puts_everyone_out_and_releases_the_room(
    replica: Replica, directory: MemoryDirectory, node: FakeNode
) -> None:
    ana = await replica.join("Ana")
    directory.end(MEETING)
    await replica.part.relay.run_once()
    await replica.part.stays.flush(MEETING)
    await replica.settle()

    assert (await replica.view()).participants == ()
    assert MEETING not in node.epochs
    assert directory.stays[ana.participant.id].leave_time is not None
    for call in (replica.part.presence.heartbeat(attendee(ana)), replica.join("Ben")):
        with pytest.raises(DomainError) as refused:
            await call
        assert refused.value.reason in {"PARTICIPANT_NOT_FOUND", "MEETING_ENDED"}
