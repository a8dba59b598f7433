"""Media through a real node and the real engine: bots send pictures and tones, and say what they see and hear."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from grpc import aio
from grpc_status import rpc_status

from parley.meeting.v1 import explanation_pb2
from parley.sfu.v1 import media_pb2
from parley.sfu.v1 import sfu_control_service_pb2 as pb
from tests.support.node_driver import Guest, NodeDriver, NodeProcess, run_node


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NodeProcess]:
    async with run_node(tmp_path_factory.mktemp("node")) as process:
        yield process


@pytest_asyncio.fixture
async def room(node: NodeProcess) -> AsyncIterator[NodeDriver]:
    async with NodeDriver(node.control_address) as driver:
        yield driver


def sees(guest: Guest, *numbers: int) -> bool:
    """Whether exactly these pictures move now."""
    return set(guest.peer.seen().values()) == set(numbers)


def carries(room: NodeDriver, guest: Guest) -> list[str]:
    """Whose tracks the node says the guest's video slots carry."""
    mids = [slot.mid for slot in guest.peer.video]
    return [room.slots[guest.participant_id, mid].participant_id for mid in mids]


async def test_two_see_and_hear_each_other_then_a_third_comes_and_goes(room: NodeDriver) -> None:
    first = await room.join(1, video_slots=3)
    second = await room.join(2, video_slots=3)
    await room.until(lambda: sees(first, 2) and sees(second, 1))
    await room.until(lambda: first.peer.heard() == {2} and second.peer.heard() == {1})

    third = await room.join(3, video_slots=3)
    await room.until(lambda: sees(first, 2, 3) and sees(second, 1, 3) and sees(third, 1, 2))
    await room.until(lambda: first.peer.heard() == {2, 3} and third.peer.heard() == {1, 2})
    assert carries(room, first) == [second.participant_id, third.participant_id, ""]

    await room.leave(third)
    await room.until(lambda: sees(first, 2) and sees(second, 1))
    await room.until(lambda: carries(room, first) == [second.participant_id, "", ""])
    await room.until(lambda: first.peer.heard() == {2})
    received, lost = await first.peer.packets()
    assert received > 50
    assert lost == 0


async def test_a_muted_camera_leaves_its_slot_and_comes_back(room: NodeDriver) -> None:
    first = await room.join(4, video_slots=2)
    second = await room.join(5, video_slots=2)
    await room.until(lambda: sees(first, 5) and sees(second, 4))
    await room.mute(second, "camera", muted=True)
    await room.until(lambda: carries(room, first) == ["", ""] and sees(first))
    await room.mute(second, "camera", muted=False)
    await room.until(lambda: carries(room, first)[0] == second.participant_id and sees(first, 5))


async def test_a_muted_track_is_not_forwarded_whatever_the_client_sends(room: NodeDriver) -> None:
    first = await room.join(6, video_slots=1)
    second = await room.join(7, video_slots=1)
    await room.until(lambda: sees(first, 7) and first.peer.heard() == {7})
    await room.mute(second, "camera", muted=True, also_in_bot=False)
    await room.mute(second, "microphone", muted=True, also_in_bot=False)
    await room.until(lambda: sees(first) and first.peer.heard() == set())
    settled = [slot.frames for slot in first.peer.slots.values()]
    await asyncio.sleep(0.5)  # what is forwarded comes many times in this time
    assert [slot.frames for slot in first.peer.slots.values()] == settled


async def test_a_shared_screen_comes_first_and_goes_without_a_new_offer(room: NodeDriver) -> None:
    viewer = await room.join(8, video_slots=1)
    sharer = await room.join(9, video_slots=1)
    await room.until(lambda: sees(viewer, 9))
    await room.mute(sharer, "screen", muted=False)
    await room.until(lambda: sees(viewer, 9 + 32))
    assert room.slots[viewer.participant_id, viewer.peer.video[0].mid].mid == sharer.peer.mids["screen"]
    await room.mute(sharer, "screen", muted=True)
    await room.until(lambda: sees(viewer, 9))


async def test_slots_show_what_was_chosen_and_the_node_fills_the_others(room: NodeDriver) -> None:
    viewer = await room.join(10, video_slots=2, quiet=True)
    guests = [await room.join(number, video_slots=0, audio_slots=0, quiet=True) for number in (11, 12, 13)]
    slots = [slot.mid for slot in viewer.peer.video]
    await room.until(lambda: sees(viewer, 11, 12))
    await room.show(viewer, media_pb2.SlotSelection(mid=slots[0], source=guests[2].camera))
    # One automatic slot is left: it goes to who came first.
    await room.until(lambda: viewer.peer.seen() == {slots[0]: 13, slots[1]: 11})
    await room.show(viewer, media_pb2.SlotSelection(mid=slots[1], empty=media_pb2.EmptySlot()))
    await room.until(lambda: sees(viewer, 13))
    await room.show(viewer, *(media_pb2.SlotSelection(mid=mid, automatic=media_pb2.AutomaticSlot()) for mid in slots))
    await room.until(lambda: viewer.peer.seen() == {slots[0]: 11, slots[1]: 12})
    assert carries(room, viewer) == [guests[0].participant_id, guests[1].participant_id]


async def test_who_speaks_is_told_and_gets_the_slot(room: NodeDriver) -> None:
    viewer = await room.join(14, video_slots=1, quiet=True)
    await room.join(15, video_slots=0, quiet=True)
    late = await room.join(16, video_slots=0, quiet=True)
    await room.until(lambda: sees(viewer, 15))
    late.peer.speak(speaking=True)
    await room.until(lambda: room.speaker == late.participant_id and sees(viewer, 16))
    assert viewer.peer.heard() <= {16}


async def test_a_participant_who_comes_back_with_a_new_offer_keeps_their_places(room: NodeDriver) -> None:
    viewer = await room.join(17, video_slots=2)
    await room.join(18, video_slots=0)
    away = await room.join(19, video_slots=0)
    await room.until(lambda: sees(viewer, 18, 19))
    places = carries(room, viewer)
    back = await room.join(19, participant_id=away.participant_id, video_slots=0)
    await room.until(lambda: away.peer.state in {"closed", "failed"} and sees(viewer, 18, 19))
    assert carries(room, viewer) == places
    stats = await room.stub.GetStats(pb.GetStatsRequest(room=room.room.room, participant_id=away.participant_id))
    assert [session.session_id for session in stats.sessions] == [back.session_id]


async def test_stats_tell_what_flows(room: NodeDriver) -> None:
    first = await room.join(20, video_slots=1)
    second = await room.join(21, video_slots=1)
    await room.until(lambda: sees(first, 21) and sees(second, 20))
    response = await room.stub.GetStats(pb.GetStatsRequest(room=room.room.room))
    stats = next(each for each in response.sessions if each.participant_id == first.participant_id)
    camera = next(track for track in stats.tracks if track.mid == first.peer.mids["camera"])
    slot = next(slot for slot in stats.slots if slot.mid == first.peer.video[0].mid)
    assert stats.srtp_profile.startswith("SRTP_AEAD_AES")
    assert camera.codec == "VP8"
    assert camera.packets_received > 0
    assert slot.source == second.camera
    assert slot.packets_sent > 0


async def test_a_session_says_what_its_slots_carry_and_why(room: NodeDriver) -> None:
    first = await room.join(40, video_slots=2)
    second = await room.join(41, video_slots=1)
    await room.until(lambda: sees(first, 41) and sees(second, 40))
    request = pb.ExplainSessionRequest(room=room.room.room, participant_id=first.participant_id)
    told = (await room.stub.ExplainSession(request)).explanation
    assert told.transport == explanation_pb2.MEDIA_TRANSPORT_UDP
    slots = {slot.mid: slot for slot in told.slots}
    full, empty = (slots[slot.mid] for slot in first.peer.video)
    assert full.sent.height == full.best.height > 0
    assert (full.reason, full.words) == (
        explanation_pb2.LAYER_REASON_BEST,
        f"{full.sent.height}p: the best that its sender sends.",
    )
    assert empty.reason == explanation_pb2.LAYER_REASON_UNSPECIFIED
    camera = next(track for track in told.tracks if track.mid == first.peer.mids["camera"])
    assert (camera.codec, camera.encodings[0].height) == ("VP8", full.sent.height)
    with pytest.raises(aio.AioRpcError, match=r"SESSION_NOT_FOUND|no such session"):
        await room.stub.ExplainSession(pb.ExplainSessionRequest(room=room.room.room, participant_id=str(uuid.uuid4())))


async def test_a_connected_session_and_first_media_are_told_with_the_callers_trace(room: NodeDriver) -> None:
    first = await room.join(22, video_slots=1)
    await room.join(23, video_slots=1)
    await room.until(lambda: sees(first, 23))
    mine = [
        event
        for event in room.events
        if first.session_id in {event.media_state_changed.session_id, event.first_media.session_id}
    ]
    assert mine[0].media_state_changed.media_state == media_pb2.MEDIA_STATE_CONNECTED
    assert {(event.first_media.mid, event.first_media.outgoing) for event in mine[1:]} >= {
        (first.peer.mids["camera"], False),
        (first.peer.video[0].mid, True),
    }
    assert len({event.traceparent for event in mine}) == 1
    assert mine[0].traceparent
    assert [event.sequence for event in room.events] == list(
        range(room.events[0].sequence, room.events[0].sequence + len(room.events))
    )


async def test_a_full_node_says_so_and_takes_the_next_when_one_has_left(tmp_path: Path) -> None:
    async with (
        run_node(tmp_path, PARLEY_NODE_SESSIONS_PER_SHARD="1") as node,
        NodeDriver(node.control_address) as room,
    ):
        first = await room.join(1, video_slots=1)
        with pytest.raises(aio.AioRpcError) as refused:
            await room.join(2, video_slots=1)
        status = rpc_status.from_call(refused.value)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert status is not None
        assert b"NODE_FULL" in status.SerializeToString()
        await room.leave(first)
        third = await room.join(3, video_slots=1)
        await third.peer.wait_until(lambda: third.peer.state == "connected", 30)


async def test_rooms_spread_over_shards_and_media_flows_on_each(tmp_path: Path) -> None:
    async with run_node(tmp_path, PARLEY_MEDIA_PORTS="[0, 0]") as node:
        async with NodeDriver(node.control_address) as one, NodeDriver(node.control_address) as other:
            pairs = [[await room.join(number, video_slots=1) for number in (1, 2)] for room in (one, other)]
            for room, (first, second) in zip((one, other), pairs, strict=True):
                await room.until(partial(both_see, first, second))
            answers = [guest.answer.sdp_answer for pair in pairs for guest in pair]
        for transport, ports in (("udp", "media_ports"), ("tcp", "media_tcp_ports")):
            named = {port for sdp in answers for port in re.findall(rf" {transport} \S+ \S+ (\d+) typ host", sdp)}
            assert {int(port) for port in named} == set(node.ready[ports])


def both_see(first: Guest, second: Guest) -> bool:
    return sees(first, 2) and sees(second, 1)
