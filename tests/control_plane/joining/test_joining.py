from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

import pytest

from control_plane.joining.events import participant_joined
from control_plane.kernel.errors import DomainError, ErrorKind
from control_plane.kernel.roles import ParticipantRole
from control_plane.log.participant import ParticipantState
from control_plane.media.model import MediaOffer
from control_plane.meetings.model import MeetingState
from tests.support.live import (
    HOST,
    FakeNode,
    MemoryDirectory,
    Replica,
    Watching,
    attendee,
    eventually,
    guest,
    keys_of,
)

MEETING = "12345678901"


async def test_a_join_gives_answer_token_snapshot_and_cursor(replica: Replica, node: FakeNode) -> None:
    joined = await replica.join("Hanna", caller=HOST)

    assert joined.participant.role is ParticipantRole.HOST
    assert joined.participant.state is ParticipantState.JOINING
    assert joined.answer.sdp == f"answer to {joined.participant.session_id}"
    assert joined.answer.epoch == node.epochs[MEETING]
    assert [one.display_name for one in joined.view.participants] == ["Hanna"]
    assert [slot.mid for slot in joined.view.slots] == ["3", "4"]


async def test_the_cursor_of_a_join_shows_what_comes_after_and_nothing_before(replica: Replica) -> None:
    replica.part.start()
    first = await replica.join("Ana")
    watching = Watching(replica, first)
    second = await replica.join("Ben")

    await eventually(lambda: watching.events)

    assert watching.events == [participant_joined(MEETING, second.participant)]
    await watching.stop()


async def test_a_retry_gives_the_same_participant_and_answer(replica: Replica, node: FakeNode) -> None:
    request = str(uuid.uuid4())
    first = await replica.join("Ana", request_id=request)
    again = await replica.join("Ana", request_id=request)

    assert again.participant.id == first.participant.id
    assert again.answer.sdp == first.answer.sdp
    assert len((await replica.view()).participants) == 1
    assert node.opened == 1


async def test_a_request_id_serves_one_request(replica: Replica) -> None:
    request = str(uuid.uuid4())
    await replica.join("Ana", request_id=request)

    with pytest.raises(DomainError) as refused:
        await replica.join("Ana", request_id=request, offer=MediaOffer("another offer"))

    assert refused.value.reason == "REQUEST_ID_REUSED"


async def test_no_more_people_come_in_than_the_meeting_takes(
    replica: Replica, directory: MemoryDirectory, node: FakeNode, redis_url: str
) -> None:
    directory.add(max_participants=5)
    other = Replica(redis_url, replica.clock, directory, replica.nodes)

    results = await asyncio.gather(*[(replica, other)[i % 2].join(f"P{i}") for i in range(20)], return_exceptions=True)

    refused = [one for one in results if isinstance(one, DomainError)]
    assert len(results) - len(refused) == 5
    assert {one.reason for one in refused} == {"MEETING_FULL"}
    assert len((await replica.view()).participants) == 5
    await replica.settle()
    await other.settle()
    assert len(node.sessions[MEETING]) == 5
    await other.stop()


async def test_a_join_that_the_node_refuses_leaves_nothing_behind(
    replica: Replica, node: FakeNode, redis_url: str
) -> None:
    node.refuse = DomainError(ErrorKind.INVALID_ARGUMENT, reason="SDP_INVALID", message="offer.sdp: line 3")

    with pytest.raises(DomainError) as refused:
        await replica.join("Ana")
    await replica.settle()

    assert refused.value.reason == "SDP_INVALID"
    assert (await replica.view()).participants == ()
    left = await keys_of(redis_url, f"parley:{{{MEETING}}}:*")
    assert set(left) <= {f"parley:{{{MEETING}}}:meta"}
    assert (await replica.part.registry.nodes())[0].pending_joins == 0


async def test_a_join_that_is_cancelled_leaves_nothing_behind(replica: Replica, node: FakeNode) -> None:
    node.slow = asyncio.Event()
    joining = asyncio.create_task(replica.join("Ana"))
    await eventually(lambda: node.sessions[MEETING])

    joining.cancel()
    await asyncio.gather(joining, return_exceptions=True)
    await replica.settle()

    assert not node.sessions[MEETING]
    assert (await replica.view()).participants == ()
    assert (await replica.part.registry.nodes())[0].pending_joins == 0


async def test_the_host_starts_the_meeting_by_coming(replica: Replica, directory: MemoryDirectory) -> None:
    meeting = directory.add("22345678901")
    directory.meetings[meeting.number] = replace(meeting, state=MeetingState.SCHEDULED)

    joined = await replica.join("Hanna", caller=HOST, meeting_id=meeting.number)

    assert joined.view.meeting is not None
    assert joined.view.meeting.state.value == "active"


async def test_a_retry_that_overtakes_the_undoing_of_its_first_try_stays(replica: Replica, node: FakeNode) -> None:
    request = str(uuid.uuid4())
    node.slow = asyncio.Event()
    first = asyncio.create_task(replica.join("Ana", request_id=request))
    await eventually(lambda: node.sessions[MEETING])
    first.cancel()
    node.slow = None

    again = await replica.join("Ana", request_id=request)
    await asyncio.gather(first, return_exceptions=True)
    await replica.settle()

    assert [one.id for one in (await replica.view()).participants] == [again.participant.id]


async def test_a_room_that_moves_during_a_join_is_joined_where_it_is(replica: Replica, node: FakeNode) -> None:
    node.slow = asyncio.Event()
    joining = asyncio.create_task(replica.join("Ana"))
    await eventually(lambda: node.sessions[MEETING])
    before = node.epochs[MEETING]
    await replica.part.live_rooms.media_moved(MEETING, before + 5)  # another replica has moved it and said so
    await replica.part.leases.release(MEETING)
    replica.clock.move(1)
    node.slow.set()

    joined = await joining

    assert joined.answer.epoch > before
    assert node.sessions[MEETING][joined.participant.id].session_id == joined.participant.session_id


async def test_one_guest_does_not_fill_the_meeting_and_the_host_finds_a_place(
    replica: Replica, directory: MemoryDirectory
) -> None:
    """TOK-3b: one token joined 30 times, and the host got MEETING_FULL."""
    directory.add(max_participants=8)
    results = await asyncio.gather(
        *[replica.join(f"P{number}", caller=guest("Ana")) for number in range(30)], return_exceptions=True
    )
    refused = [one for one in results if isinstance(one, DomainError)]
    assert len(results) - len(refused) == 5
    assert {(one.reason, one.metadata["limit"]) for one in refused} == {("JOINED_TOO_OFTEN", "5")}

    for number in range(3):
        await replica.join(f"Other {number}")
    with pytest.raises(DomainError) as full:
        await replica.join("Ben")
    assert full.value.reason == "MEETING_FULL"
    host = await replica.join("Hanna", caller=HOST)
    assert host.participant.role is ParticipantRole.HOST

    # One place beyond the limit is the host's, not one for each of their devices.
    with pytest.raises(DomainError) as full:
        await replica.join("Hanna", caller=HOST)
    assert full.value.reason == "MEETING_FULL"


async def test_hosts_may_fill_their_own_meeting(replica: Replica) -> None:
    for number in range(7):
        await replica.join(f"Hanna {number}", caller=HOST)
    assert len((await replica.view()).participants) == 7


async def test_a_place_that_was_left_or_never_taken_counts_no_more(
    replica: Replica, node: FakeNode, directory: MemoryDirectory
) -> None:
    directory.add()
    ana = guest("Ana")
    node.refuse = DomainError(ErrorKind.INVALID_ARGUMENT, reason="SDP_INVALID", message="offer.sdp: line 3")
    for _ in range(6):
        with pytest.raises(DomainError) as refused:
            await replica.join("Ana", caller=ana)
        assert refused.value.reason == "SDP_INVALID"
    await replica.settle()
    node.refuse = None
    joined = [await replica.join("Ana", caller=ana) for _ in range(5)]
    await replica.part.presence.leave(attendee(joined[0]))
    await replica.join("Ana", caller=ana)
    await replica.part.places.reserve(MEETING, "lost", "s-lost", 100, subject="guests/Ben")
    replica.clock.move(16)
    for _ in range(5):
        await replica.join("Ben", caller=guest("Ben"))
