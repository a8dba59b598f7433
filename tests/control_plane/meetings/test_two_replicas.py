"""Two control planes on one database that change the same meeting at once: nothing that either did is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import aio

from grpc_kit.errors import read_error
from parley.meeting.v1 import meeting_pb2
from parley.meeting.v1 import meeting_service_pb2 as pb
from tests.support.control_plane import Running, bearer, running


@pytest_asyncio.fixture
async def replicas(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[tuple[Running, Running]]:
    async with running(database_url, redis_url, tmp_path) as one, running(database_url, redis_url, tmp_path) as other:
        yield one, other


def update(meeting: meeting_pb2.Meeting, path: str, *, etag: str = "") -> pb.UpdateMeetingRequest:
    changed = meeting_pb2.Meeting(name=meeting.name, topic="Tea", passcode="246810", etag=etag)
    changed.settings.mute_on_entry = True
    changed.settings.max_participants = 7
    return pb.UpdateMeetingRequest(meeting=changed, update_mask=FieldMask(paths=[path]))


async def test_changes_of_different_fields_are_all_kept(replicas: tuple[Running, Running]) -> None:
    token = (await replicas[0].sign_up("Ada")).credentials.access_token
    meeting = await replicas[0].create(token)
    paths = ["topic", "passcode", "settings.mute_on_entry", "settings.max_participants"]

    await asyncio.gather(
        *[
            replicas[number % 2].plans.UpdateMeeting(update(meeting, path), metadata=bearer(token))
            for number, path in enumerate(paths)
        ]
    )

    now = (await replicas[1].plans.GetMeeting(pb.GetMeetingRequest(name=meeting.name), metadata=bearer(token))).meeting
    assert (now.topic, now.passcode) == ("Tea", "246810")
    assert (now.settings.mute_on_entry, now.settings.max_participants) == (True, 7)
    assert now.etag == "5", "each change is a revision"


async def test_of_changes_that_read_the_same_one_is_made(replicas: tuple[Running, Running]) -> None:
    token = (await replicas[0].sign_up("Ada")).credentials.access_token
    meeting = await replicas[0].create(token)

    async def change(number: int) -> str:
        request = update(meeting, "topic", etag=meeting.etag)
        try:
            await replicas[number % 2].plans.UpdateMeeting(request, metadata=bearer(token))
        except aio.AioRpcError as error:
            return read_error(error).reason
        return "ok"

    outcomes = await asyncio.gather(*[change(number) for number in range(6)])

    assert sorted(outcomes) == ["ETAG_MISMATCH"] * 5 + ["ok"]


async def test_a_start_an_end_and_a_change_at_once_end_the_meeting(replicas: tuple[Running, Running]) -> None:
    token = (await replicas[0].sign_up("Ada")).credentials.access_token
    for turn in range(4):
        meeting = await replicas[0].create(token)
        one, other = replicas if turn % 2 else replicas[::-1]

        outcomes = await asyncio.gather(
            one.plans.StartMeeting(pb.StartMeetingRequest(name=meeting.name), metadata=bearer(token)),
            other.plans.EndMeeting(pb.EndMeetingRequest(name=meeting.name), metadata=bearer(token)),
            one.plans.EndMeeting(pb.EndMeetingRequest(name=meeting.name), metadata=bearer(token)),
            other.plans.UpdateMeeting(update(meeting, "topic"), metadata=bearer(token)),
            return_exceptions=True,
        )

        refused = {read_error(one).reason for one in outcomes if isinstance(one, aio.AioRpcError)}
        assert refused <= {"MEETING_ENDED"}
        now = await one.plans.GetMeeting(pb.GetMeetingRequest(name=meeting.name), metadata=bearer(token))
        assert now.meeting.state == meeting_pb2.MEETING_STATE_ENDED
        made = sum(not isinstance(one, BaseException) for one in (outcomes[0], outcomes[3]))
        assert now.meeting.etag == str(2 + made), "what was answered well has happened"
