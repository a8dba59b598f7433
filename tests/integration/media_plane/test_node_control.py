"""The node's commands over gRPC: who may call, errors as the contract says them, events that resume, and the end."""

import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from grpc_kit.channel import open_channel
from media_plane.bots.peer import BotPeer, PeerOptions
from parley.sfu.v1 import media_pb2
from parley.sfu.v1 import sfu_control_service_pb2 as pb
from parley.sfu.v1.sfu_control_service_pb2_grpc import SfuControlServiceStub
from parley_cli.ports import free_port
from tests.support.access import expected, methods, reason_of_garbage
from tests.support.node_driver import NODE_TOKEN, Guest, NodeDriver, NodeProcess, run_node, tracks_of
from tests.support.otlp import Collector


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()
    collector.start()
    yield collector
    collector.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def node(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> AsyncIterator[NodeProcess]:
    async with run_node(tmp_path_factory.mktemp("node"), PARLEY_OTLP_ENDPOINT=collector.grpc_endpoint) as process:
        yield process


@pytest_asyncio.fixture
async def room(node: NodeProcess) -> AsyncIterator[NodeDriver]:
    async with NodeDriver(node.control_address) as driver:
        yield driver


@pytest_asyncio.fixture
async def guest() -> AsyncIterator[Guest]:
    """Somebody with an offer who has not joined."""
    peer = BotPeer(PeerOptions(number=1, video_slots=1, audio_slots=1))
    guest = Guest(str(uuid.uuid4()), peer)
    guest.offer = await peer.offer()
    yield guest
    await peer.close()


async def refusal(call: Awaitable[object]) -> tuple[grpc.StatusCode, str, list[str]]:
    """Return status code, reason and the fields of an error."""
    with pytest.raises(aio.AioRpcError) as caught:
        await call
    status = rpc_status.from_call(caught.value)
    assert status is not None
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
    assert info.domain == "parley.dev"
    return caught.value.code(), info.reason, [violation.field for violation in bad.field_violations]


@pytest.mark.parametrize(("token", "reason"), [("", "TOKEN_MISSING"), ("another", "TOKEN_INVALID")])
async def test_only_the_node_token_opens_the_door(node: NodeProcess, token: str, reason: str) -> None:
    channel = open_channel(node.control_address, bearer_token=token)
    request = pb.OpenRoomRequest(room=pb.RoomReference(room="rooms/1", epoch=1))
    code, given, _ = await refusal(SfuControlServiceStub(channel).OpenRoom(request))
    assert (code, given) == (grpc.StatusCode.UNAUTHENTICATED, reason)
    health: Any = health_pb2_grpc.HealthStub(channel)
    answer = await health.Check(health_pb2.HealthCheckRequest(service="parley.sfu.v1.SfuControlService"))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    await channel.close()


@pytest.mark.parametrize("path", [path for path in methods() if path.startswith("/parley.sfu.")])
async def test_each_command_needs_the_node_token_before_it_is_looked_at(node: NodeProcess, path: str) -> None:
    async with open_channel(node.control_address) as channel:
        reasons = [await reason_of_garbage(channel, path, token) for token in ("", "another", NODE_TOKEN)]
    assert reasons == ["TOKEN_MISSING", "TOKEN_INVALID", "INVALID_ARGUMENT"]
    assert expected()[path] == {"node": "all"}


async def test_an_offer_that_is_none_says_where(room: NodeDriver, guest: Guest) -> None:
    good = guest.offer
    guest.offer = good.replace("a=mid:1", "a=mid:0")
    code, reason, fields = await refusal(room.open(guest))
    assert (code, reason, fields) == (grpc.StatusCode.INVALID_ARGUMENT, "SDP_INVALID", ["sdp_offer"])
    guest.offer = good.replace("BUNDLE", "LS")
    assert (await refusal(room.open(guest)))[1] == "SDP_NOT_ACCEPTABLE"
    guest.offer = "x"
    assert (await refusal(room.open(guest)))[1] == "SDP_INVALID"


async def test_unknown_things_are_named(room: NodeDriver, guest: Guest) -> None:
    empty = media_pb2.SlotSelection(mid="nope", empty=media_pb2.EmptySlot())
    assert await refusal(room.open(guest, [empty])) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "MID_UNKNOWN",
        ["slots[0].mid"],
    )
    stats = room.stub.GetStats(pb.GetStatsRequest(room=room.room.room))
    assert (await refusal(stats))[:2] == (grpc.StatusCode.NOT_FOUND, "ROOM_NOT_FOUND")
    await room.stub.OpenRoom(pb.OpenRoomRequest(room=room.room))
    assert (await refusal(room.show(guest, empty)))[:2] == (grpc.StatusCode.NOT_FOUND, "SESSION_NOT_FOUND")
    code, reason, fields = await refusal(room.stub.OpenRoom(pb.OpenRoomRequest(room=pb.RoomReference(room="x"))))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
    assert set(fields) == {"room.room", "room.epoch"}


async def test_a_stale_epoch_is_refused(room: NodeDriver, guest: Guest) -> None:
    newer = pb.RoomReference(room=room.room.room, epoch=7)
    await room.stub.OpenRoom(pb.OpenRoomRequest(room=newer))
    assert (await refusal(room.open(guest)))[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "EPOCH_STALE")


async def test_the_same_session_again_gives_the_same_answer(room: NodeDriver, guest: Guest) -> None:
    first = await room.open(guest)
    assert await room.open(guest) == first
    assert [slot.mid for slot in first.slots] == list(guest.peer.slots)


async def test_events_resume_where_they_were_left_and_begin_with_the_state_otherwise(
    room: NodeDriver, guest: Guest
) -> None:
    await room.open(guest)
    watch = room.stub.WatchEvents(pb.WatchEventsRequest())
    start = (await watch.read()).start
    assert start.from_state
    states: list[pb.RoomState] = []
    while not any(state.room.room == room.room.room for state in states):
        states.append((await watch.read()).room_state)
    assert states[-1].sessions[0].session_id == guest.session_id
    assert states[-1].sessions[0].media_state == media_pb2.MEDIA_STATE_CONNECTING
    assert list(states[-1].sessions[0].tracks) == tracks_of(guest.peer)
    watch.cancel()

    await guest.peer.accept((await room.open(guest)).sdp_answer)
    await room.until(lambda: guest.peer.state == "connected")
    await room.until(lambda: any(event.HasField("media_state_changed") for event in room.events))
    again = room.stub.WatchEvents(pb.WatchEventsRequest(instance_id=start.instance_id, after_sequence=start.sequence))
    assert not (await again.read()).start.from_state
    assert (await again.read()).event.sequence == start.sequence + 1
    again.cancel()
    for request in (
        pb.WatchEventsRequest(instance_id="another", after_sequence=start.sequence),
        pb.WatchEventsRequest(instance_id=start.instance_id, after_sequence=10**9),
    ):
        fresh = room.stub.WatchEvents(request)
        assert (await fresh.read()).start.from_state
        fresh.cancel()


async def test_a_peer_that_goes_is_told_at_once(room: NodeDriver, guest: Guest) -> None:
    await guest.peer.accept((await room.open(guest)).sdp_answer)
    await room.until(lambda: guest.peer.state == "connected")
    await guest.peer.close()
    await room.until(
        lambda: any(
            event.media_state_changed.media_state == media_pb2.MEDIA_STATE_CLOSED
            and event.media_state_changed.session_id == guest.session_id
            for event in room.events
        )
    )
    stats = await room.stub.GetStats(pb.GetStatsRequest(room=room.room.room))
    assert list(stats.sessions) == []


async def test_engine_spans_stand_in_the_callers_trace(room: NodeDriver, guest: Guest, collector: Collector) -> None:
    trace_id = uuid.uuid4().hex
    request = pb.OpenSessionRequest(
        room=room.room,
        participant_id=guest.participant_id,
        session_id=guest.session_id,
        sdp_offer=guest.offer,
        tracks=tracks_of(guest.peer),
    )
    metadata = (("traceparent", f"00-{trace_id}-{'1' * 16}-01"),)
    response = await room.stub.OpenSession(request, metadata=metadata)
    await guest.peer.accept(response.sdp_answer)
    wanted = {"parley.sfu.v1.SfuControlService/OpenSession", "engine.connect", "engine.first_media"}
    await room.until(lambda: {span.name for span in collector.spans.of_trace(trace_id)} >= wanted)
    spans = {span.name: span for span in collector.spans.of_trace(trace_id)}
    server = spans["parley.sfu.v1.SfuControlService/OpenSession"]
    assert server.parent_id == "1" * 16
    for name in ("engine.connect", "engine.first_media"):
        assert spans[name].parent_id == server.span_id
        assert spans[name].service == "parley-node"
        assert server.start_nano <= spans[name].start_nano < spans[name].end_nano
    assert spans["engine.connect"].attributes["parley.srtp_profile"].startswith("SRTP_AEAD")
    await room.until(lambda: any(event.traceparent.split("-")[1:2] == [trace_id] for event in room.events))


def _is_connected(guest: Guest) -> bool:
    return guest.peer.state == "connected"


async def test_a_node_ends_in_order_and_keeps_its_name(tmp_path: Path) -> None:
    names = []
    for _ in range(2):
        async with run_node(tmp_path, PARLEY_NODE_METRICS_PORT="0") as node, NodeDriver(node.control_address) as room:
            guest = await room.join(1, video_slots=1)
            await guest.peer.wait_until(partial(_is_connected, guest), 30)
            assert await node.stop() == 0
            await room.until(lambda: any(event.HasField("room_closed") for event in room.events))
            assert room.events[-1].room_closed.reason == media_pb2.ROOM_CLOSE_REASON_DRAINED
            names.append(node.ready["node"])
    assert names[0] == names[1]


async def test_metrics_are_served(tmp_path: Path) -> None:
    port = free_port()
    async with run_node(tmp_path, PARLEY_NODE_METRICS_PORT=str(port)) as node, NodeDriver(node.control_address) as room:
        first = await room.join(1, video_slots=1)
        await room.join(2, video_slots=1)
        await room.until(lambda: set(first.peer.seen().values()) == {2})
        async with httpx.AsyncClient(trust_env=False) as client:
            text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
        metrics = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("parley_node_"))
        assert float(metrics["parley_node_rooms"]) == 1
        assert float(metrics["parley_node_sessions"]) == 2
        assert float(metrics['parley_node_packets_total{direction="out"}']) > 0
        assert float(metrics["parley_node_cpu_seconds_per_forwarded_packet"]) > 0
        assert 'parley_node_datagrams_dropped_total{kind="stun"}' in metrics
        assert 'parley_node_channel_messages_dropped_total{kind="rate"}' in metrics
        assert "parley_node_channels_closed_slow_total" in metrics


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"PARLEY_NODE_TOKEN": ""}, "PARLEY_NODE_TOKEN"),
        ({"PARLEY_MEDIA_PORTS": "[70000]"}, "PARLEY_MEDIA_PORTS"),
        ({"PARLEY_MEDIA_PORTS": "x"}, "media_ports"),
        ({"PARLEY_MEDIA_ADDRESSES": '["nowhere"]'}, "PARLEY_MEDIA_ADDRESSES"),
        ({"PARLEY_NODE_CONTROL_ADDRESS": "127.0.0.1"}, "PARLEY_NODE_CONTROL_ADDRESS"),
        ({"PARLEY_DATA_DIR": "/dev/null/x"}, "/dev/null/x"),
        ({"PARLEY_MEDIA_BIND_ADDRESS": "203.0.113.9"}, "203.0.113.9"),
        ({"PARLEY_CONFIG": "/dev/null/parley.toml"}, "PARLEY_CONFIG"),
    ],
)
def test_a_bad_configuration_is_one_clear_sentence(tmp_path: Path, environment: dict[str, str], words: str) -> None:
    base = {
        "PARLEY_NODE_TOKEN": NODE_TOKEN,
        "PARLEY_DATA_DIR": str(tmp_path),
        "PARLEY_NODE_CONTROL_ADDRESS": "127.0.0.1:0",
        "PARLEY_MEDIA_PORTS": "[0]",
    }
    done = subprocess.run(
        [sys.executable, "-m", "media_plane.node"],
        env=os.environ | base | environment,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
