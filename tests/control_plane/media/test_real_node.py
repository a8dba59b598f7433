"""The control plane over gRPC with a real media node: joins, slots, moves, operators' calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest_asyncio
from grpc import aio

from grpc_kit.channel import open_channel
from parley.allocation.v1 import placement_pb2, room_allocation_service_pb2_grpc
from parley.allocation.v1 import room_allocation_service_pb2 as allocation
from parley.identity.v1 import identity_service_pb2 as identity
from parley.meeting.v1 import meeting_pb2, participant_pb2, track_pb2
from parley.meeting.v1 import meeting_service_pb2 as meetings
from parley.signaling.v1 import session_pb2, signaling_service_pb2_grpc
from parley.signaling.v1 import signaling_service_pb2 as signaling
from parley_cli.parts.python import PythonPart
from tests.support.control_plane import NODE_TOKEN, OPERATOR_TOKEN, Running, bearer, refusal, running
from tests.support.sdp import media_offer, offer
from tests.support.waiting import until


class Call:
    """A meeting on a control plane with a real node."""

    def __init__(self, plane: Running, node: PythonPart) -> None:
        self.plane = plane
        self.node = node
        self.signaling = signaling_service_pb2_grpc.SignalingServiceStub(plane.channel)
        self.operator = room_allocation_service_pb2_grpc.RoomAllocationServiceStub(
            open_channel(f"127.0.0.1:{plane.port}", bearer_token=OPERATOR_TOKEN)
        )
        self.meeting = meeting_pb2.Meeting()
        self.host_token = ""

    async def prepare(self) -> None:
        host = await self.plane.sign_up("Hanna")
        self.host_token = host.credentials.access_token
        self.meeting = await self.plane.create(self.host_token)
        await until(self.nodes)

    async def nodes(self) -> list[placement_pb2.Node]:
        nodes = (await self.operator.ListNodes(allocation.ListNodesRequest())).nodes
        return [node for node in nodes if node.state == placement_pb2.NODE_STATE_ACTIVE]

    async def guest_token(self) -> str:
        request = identity.CreateGuestSessionRequest(meeting=self.meeting.name, passcode=self.meeting.passcode)
        return (await self.plane.accounts.CreateGuestSession(request)).credentials.access_token

    async def join(self, name: str, token: str = "", **fields: object) -> signaling.JoinMeetingResponse:
        request = signaling.JoinMeetingRequest(
            meeting=self.meeting.name,
            passcode=self.meeting.passcode,
            display_name=name,
            offer=fields.pop("offer", None) or media_offer(),  # type: ignore[arg-type]
            request_id=str(fields.pop("request_id", None) or uuid4()),
        )
        return await self.signaling.JoinMeeting(request, metadata=bearer(token or await self.guest_token()), timeout=10)

    def watch(self, joined: signaling.JoinMeetingResponse) -> Watch:
        request = signaling.WatchSessionRequest(name=joined.participant.name, cursor=joined.cursor)
        return Watch(self.signaling.WatchSession(request, metadata=bearer(joined.participant_token)))


@pytest_asyncio.fixture
async def plane(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(database_url, redis_url, tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def call(plane: Running, tmp_path: Path) -> AsyncIterator[Call]:
    environment = {
        "PARLEY_CONTROL_PLANE_TARGET": f"127.0.0.1:{plane.port}",
        "PARLEY_NODE_CONTROL_ADDRESS": "127.0.0.1:0",
        "PARLEY_NODE_TOKEN": NODE_TOKEN,
        "PARLEY_NODE_ID": "n1",
        "PARLEY_MEDIA_BIND_ADDRESS": "127.0.0.1",
        "PARLEY_DATA_DIR": str(tmp_path / "node"),
    }
    node = PythonPart("node", "media_plane.node", environment)
    await asyncio.to_thread(node.start, 60)
    made = Call(plane, node)
    try:
        await made.prepare()
        yield made
    finally:
        await asyncio.to_thread(node.stop)


class Watch:
    """A participant's stream; what was passed over while looking for something else can still be found."""

    def __init__(self, stream: aio.UnaryStreamCall[Any, signaling.WatchSessionResponse]) -> None:
        self._stream = stream
        self._seen: list[signaling.WatchSessionResponse] = []

    async def find(self, kind: str) -> signaling.WatchSessionResponse:
        async with asyncio.timeout(20):
            while True:
                for message in self._seen:
                    if kind in {message.event.WhichOneof("kind"), message.WhichOneof("message")}:
                        self._seen.remove(message)
                        return message
                following = await self._stream.read()
                assert isinstance(following, signaling.WatchSessionResponse), f"the stream ended before {kind}"
                self._seen.append(following)


async def test_two_join_see_each_other_and_part(call: Call) -> None:
    hanna = await call.join("Hanna", call.host_token)
    assert hanna.participant.role == participant_pb2.PARTICIPANT_ROLE_HOST
    assert hanna.snapshot.meeting.state == meeting_pb2.MEETING_STATE_ACTIVE
    assert hanna.snapshot.meeting.passcode == call.meeting.passcode
    assert "a=ice-lite" in hanna.answer.sdp
    stream = call.watch(hanna)

    ben = await call.join("Ben")

    assert not ben.snapshot.meeting.passcode
    assert [one.display_name for one in ben.snapshot.participants] == ["Hanna", "Ben"]
    joined = await stream.find("participant_joined")
    assert joined.event.participant_joined.participant == ben.participant
    slots = await stream.find("slots_changed")
    shown = {(slot.participant, slot.source_mid) for slot in slots.event.slots_changed.slots}
    assert (ben.participant.name, "1") in shown
    muted = track_pb2.Track(
        mid="0", kind=track_pb2.TRACK_KIND_AUDIO, source=track_pb2.TRACK_SOURCE_MICROPHONE, muted=True
    )
    me = bearer(ben.participant_token)
    await call.signaling.UpdateTracks(
        signaling.UpdateTracksRequest(name=ben.participant.name, tracks=[muted]), metadata=me
    )
    updated = await stream.find("participant_updated")
    assert updated.event.participant_updated.participant.tracks[0] == muted
    await call.signaling.LeaveMeeting(signaling.LeaveMeetingRequest(name=ben.participant.name), metadata=me)
    left = await stream.find("participant_left")
    assert left.event.participant_left.participant == ben.participant.name
    await call.plane.plans.EndMeeting(
        meetings.EndMeetingRequest(name=call.meeting.name), metadata=bearer(hanna.participant_token)
    )
    ended = await stream.find("meeting_ended")
    assert ended.event.meeting_ended.participant == hanna.participant.name
    away = await stream.find("go_away")
    assert away.go_away.reason == signaling.GO_AWAY_REASON_LEFT


async def test_when_the_node_is_killed_everyone_is_sent_to_the_next(call: Call) -> None:
    hanna = await call.join("Hanna", call.host_token)
    stream = call.watch(hanna)
    await asyncio.to_thread(call.node.kill)
    await asyncio.to_thread(call.node.restart, 60)

    moved = await stream.find("media_moved")

    assert moved.event.media_moved.epoch > hanna.answer.epoch
    request = signaling.RenegotiateMediaRequest(
        name=hanna.participant.name, offer=media_offer(), request_id=str(uuid4())
    )
    renewed = await call.signaling.RenegotiateMedia(request, metadata=bearer(hanna.participant_token), timeout=10)
    assert renewed.answer.epoch == moved.event.media_moved.epoch
    assert renewed.answer.sdp != hanna.answer.sdp


async def test_refusals_name_the_callers_own_fields(call: Call) -> None:
    hanna = await call.join("Hanna", call.host_token)
    ben = await call.join("Ben")
    broken = media_offer()
    broken.sdp = "v=0\r\nnonsense"
    bad = await refusal(call.join("Cara", offer=broken))
    assert (bad.code, bad.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "SDP_INVALID")
    assert bad.field_violations[0].field == "offer.sdp"
    bare = media_offer()
    bare.sdp = offer(without=["a=fingerprint"])
    assert (await refusal(call.join("Cara", offer=bare))).reason == "SDP_NOT_ACCEPTABLE"
    me = bearer(ben.participant_token)
    slot = session_pb2.SlotRequest(mid="99", automatic=session_pb2.AutomaticSelection())
    unknown = await refusal(
        call.signaling.UpdateSlots(signaling.UpdateSlotsRequest(name=ben.participant.name, slots=[slot]), metadata=me)
    )
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MID_UNKNOWN")
    assert unknown.field_violations[0].field.startswith("slots")
    foreign = await refusal(
        call.signaling.Heartbeat(signaling.HeartbeatRequest(name=hanna.participant.name), metadata=me)
    )
    assert (foreign.code, foreign.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")


async def test_a_node_explains_a_session_to_its_participant(call: Call) -> None:
    hanna = await call.join("Hanna", call.host_token)
    request = signaling.ExplainSessionRequest(name=hanna.participant.name)

    explained = await call.signaling.ExplainSession(request, metadata=bearer(hanna.participant_token))

    offered = {slot.mid for slot in hanna.answer.slots}
    assert offered <= {slot.mid for slot in explained.explanation.slots}
    assert "1" in {track.mid for track in explained.explanation.tracks}
    await asyncio.to_thread(call.node.kill)
    away = await refusal(call.signaling.ExplainSession(request, metadata=bearer(hanna.participant_token)))
    assert (away.code, away.reason) == (grpc.StatusCode.UNAVAILABLE, "MEDIA_NODE_UNAVAILABLE")
    assert away.retry_after


async def test_operators_place_find_and_release_rooms(call: Call) -> None:
    placed = await call.operator.PlaceRoom(allocation.PlaceRoomRequest(room="rooms/lobby"))
    again = await call.operator.PlaceRoom(allocation.PlaceRoomRequest(room="rooms/lobby"))
    found = await call.operator.GetPlacement(allocation.GetPlacementRequest(room="rooms/lobby"))
    assert placed.placement.node == "nodes/n1"
    assert placed.placement.epoch == again.placement.epoch == found.placement.epoch
    wrong = await refusal(
        call.operator.ReleaseRoom(allocation.ReleaseRoomRequest(room="rooms/lobby", epoch=placed.placement.epoch + 1))
    )
    assert (wrong.code, wrong.reason) == (grpc.StatusCode.ABORTED, "EPOCH_MISMATCH")
    await call.operator.ReleaseRoom(allocation.ReleaseRoomRequest(room="rooms/lobby", epoch=placed.placement.epoch))
    await call.operator.ReleaseRoom(allocation.ReleaseRoomRequest(room="rooms/lobby"))
    gone = await refusal(call.operator.GetPlacement(allocation.GetPlacementRequest(room="rooms/lobby")))
    assert (gone.code, gone.reason) == (grpc.StatusCode.NOT_FOUND, "PLACEMENT_NOT_FOUND")
    bad = await refusal(call.operator.ListNodes(allocation.ListNodesRequest(page_token="x")))
    assert bad.code is grpc.StatusCode.INVALID_ARGUMENT
