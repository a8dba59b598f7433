"""Mutated STUN, DTLS, RTP and RTCP and noise at the media port during a call: nobody in it notices."""

import asyncio
import os
import re
import sys
import uuid
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from parley.identity.v1 import identity_service_pb2 as identity
from parley.meeting.v1 import track_pb2
from parley.signaling.v1 import signaling_service_pb2 as signaling
from parley_cli.bench.load import load_clients
from tests.support.call import Call
from tests.support.fleet import Fleet
from tests.support.sdp import media_offer
from tests.support.transports import Grpc, method
from tests.support.waiting import until

_DATAGRAMS = int(os.environ.get("PARLEY_TEST_DATAGRAMS", "100000"))
_PER_SECOND = 20_000
_CHUNK = 5_000
_FLAT_BYTES = 16 * 1024 * 1024
_ATTACKER = "attacker"

pytestmark = pytest.mark.timeout(180 + 4 * _DATAGRAMS / _PER_SECOND)


async def test_datagrams_of_strangers_are_dropped_and_counted(call: Call, fleet: Fleet) -> None:
    answer = await _join(call, fleet, media_offer())
    candidate = re.search(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+)", answer, re.IGNORECASE)
    assert candidate
    target = f"{candidate[1]}:{candidate[2]}"

    async def send(count: int) -> None:
        program = Path(sys.executable).with_name("parley-load")
        options = {"--target": target, "--count": count, "--rate": _PER_SECOND}
        words = [str(word) for option in options.items() for word in option]
        process = await asyncio.create_subprocess_exec(program, "hostile", *words, stdout=asyncio.subprocess.DEVNULL)
        assert await process.wait() == 0

    # Who belongs to no session is refused before anything but the protocol of the datagram is looked at.
    await _flood(call, fleet, send, {"stun", "noise", "unknown_source"})


async def test_datagrams_of_a_participant_are_dropped_and_counted(call: Call, fleet: Fleet) -> None:
    async with load_clients() as clients:
        offer = await clients.ask("offer", id=_ATTACKER, send=_SENDING, audio_slots=1, video_slots=1)
        sdp = await _join(call, fleet, signaling.MediaOffer(sdp=offer["sdp"], tracks=_tracks(offer)))
        await clients.ask("answer", id=_ATTACKER, sdp=sdp)

        async def stats() -> Mapping[str, Any]:
            mine: Mapping[str, Any] = (await clients.ask("stats", id=_ATTACKER))["clients"][0]
            return mine

        await until(stats, lambda mine: mine["state"] == "connected", what="the attacker is connected")
        for kind in ("audio", "video"):
            await clients.ask("publish", id=_ATTACKER, kind=kind)
        await until(stats, lambda mine: all(each["packets"] for each in mine["sent"].values()), what="media flows")

        async def send(count: int) -> None:
            for _ in range(0, count, _CHUNK):
                due = (await stats())["hostile_sent"] + _CHUNK
                await clients.ask("hostile", id=_ATTACKER, count=_CHUNK)
                await until(stats, partial(_has_sent, due), within=30, what="a chunk is sent")

        await _flood(call, fleet, send, {"srtp_auth", "stun", "noise"})


_SENDING = [{"kind": "audio", "source": "microphone"}, {"kind": "video", "source": "camera"}]


def _tracks(offer: Mapping[str, Any]) -> list[track_pb2.Track]:
    kinds = {"audio": track_pb2.TRACK_KIND_AUDIO, "video": track_pb2.TRACK_KIND_VIDEO}
    sources = {"audio": track_pb2.TRACK_SOURCE_MICROPHONE, "video": track_pb2.TRACK_SOURCE_CAMERA}
    return [
        track_pb2.Track(mid=track["mid"], kind=kinds[track["kind"]], source=sources[track["kind"]])
        for track in offer["mids"]["send"]
    ]


def _has_sent(datagrams: int, stats: Mapping[str, Any]) -> bool:
    return bool(stats["hostile_sent"] >= datagrams)


async def _flood(call: Call, fleet: Fleet, send: Callable[[int], Awaitable[None]], kinds: set[str]) -> None:
    """Send datagrams: the call goes on, the node's memory stays what it was, and the drops are counted by kind."""
    node = psutil.Process(fleet.node.pid)
    before = await _dropped(fleet)
    async with call.steady():
        await send(_DATAGRAMS // 5)
        warm = node.memory_info().rss
        await send(_DATAGRAMS - _DATAGRAMS // 5)
        assert node.memory_info().rss - warm < _FLAT_BYTES
    after = await _dropped(fleet)
    grown = {kind: after[kind] - before[kind] for kind in after if after[kind] > before[kind]}
    assert grown.keys() >= kinds, grown
    assert sum(grown.values()) > _DATAGRAMS / 2, grown
    assert fleet.node.pid == node.pid
    await call.ann.hears(call.bob)


async def _dropped(fleet: Fleet) -> dict[str, float]:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{fleet.environment['PARLEY_NODE_METRICS_PORT']}/metrics")
    found = re.findall(r'^parley_node_datagrams_dropped_total\{kind="(\w+)"\} (\S+)', answer.text, re.MULTILINE)
    return {kind: float(count) for kind, count in found}


async def _join(call: Call, fleet: Fleet, offer: signaling.MediaOffer) -> str:
    """Enter the meeting as one more guest; the SDP answer."""
    api = Grpc(fleet.authority)
    try:
        request = identity.CreateGuestSessionRequest(meeting=call.meeting, passcode=call.passcode)
        made = await api.call(method("IdentityService.CreateGuestSession"), request)
        assert isinstance(made.response, identity.CreateGuestSessionResponse), made
        join = signaling.JoinMeetingRequest(
            meeting=call.meeting, display_name="Attacker", offer=offer, request_id=str(uuid.uuid4())
        )
        token = made.response.credentials.access_token
        joined = await api.call(method("SignalingService.JoinMeeting"), join, token)
        assert isinstance(joined.response, signaling.JoinMeetingResponse), joined
        return joined.response.answer.sdp
    finally:
        await api.close()
