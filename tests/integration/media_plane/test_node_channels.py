"""Data channels through a real node, with aiortc as the client: its SCTP is neither the engine's nor a browser's."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import pytest
import pytest_asyncio
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from parley.sfu.v1 import sfu_control_service_pb2 as pb
from parley.signaling.v1 import channel_pb2
from tests.support.node_driver import NodeDriver, run_node

_LABELS: dict[str, dict[str, Any]] = {
    "pointer": {"ordered": False, "maxRetransmits": 0},
    "strokes": {},
    "captions": {},
    "chat": {},
}


class _Client:
    """A participant who only listens, and has data channels."""

    def __init__(self) -> None:
        self.participant_id = str(uuid.uuid4())
        self.heard: list[tuple[str, channel_pb2.ChannelMessage]] = []
        self.connection: Any = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self.connection.addTransceiver("audio", direction="recvonly")
        self.channels: dict[str, Any] = {}

    async def join(self, room: NodeDriver) -> Self:
        for label, promises in _LABELS.items():
            channel = self.connection.createDataChannel(label, **promises)
            channel.on("message", lambda data, label=label: self._hear(label, data))
            self.channels[label] = channel
        await self.connection.setLocalDescription(await self.connection.createOffer())
        request = pb.OpenSessionRequest(
            room=room.room,
            participant_id=self.participant_id,
            session_id=str(uuid.uuid4()),
            sdp_offer=self.connection.localDescription.sdp,
        )
        answer = await room.stub.OpenSession(request, timeout=10)
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp=answer.sdp_answer, type="answer"))
        return self

    def states(self) -> dict[str, str]:
        return {label: channel.readyState for label, channel in self.channels.items()}

    def payloads(self, label: str) -> list[bytes]:
        return [message.payload for heard, message in self.heard if heard == label]

    def _hear(self, label: str, data: bytes) -> None:
        self.heard.append((label, channel_pb2.ChannelMessage.FromString(data)))


@pytest_asyncio.fixture
async def room(tmp_path: Path) -> AsyncIterator[NodeDriver]:
    async with run_node(tmp_path) as node, NodeDriver(node.control_address) as driver:
        yield driver


async def test_messages_reach_the_others_and_unknown_channels_are_closed(room: NodeDriver) -> None:
    clients = [await _Client().join(room) for _ in range(3)]
    first, *others = clients
    expected = {"pointer": "open", "strokes": "open", "captions": "open", "chat": "closed"}
    await room.until(lambda: all(client.states() == expected for client in clients))

    strokes = [bytes([number]) * (1 + 8 * number) for number in range(1, 100)]
    for stroke in strokes:
        first.channels["strokes"].send(stroke)
        await asyncio.sleep(0.02)
    largest = bytes(16_384)
    others[0].channels["captions"].send(largest)
    first.channels["pointer"].send(b"here")
    with pytest.raises(ValueError, match="only supports messages up to 16384 bytes"):
        first.channels["captions"].send(bytes(16_385))
    await room.until(lambda: all(client.payloads("strokes") == strokes for client in others))
    await room.until(lambda: first.payloads("captions") == others[1].payloads("captions") == [largest])
    await room.until(lambda: all(client.payloads("pointer") == [b"here"] for client in others))
    assert not first.payloads("strokes"), "nobody hears oneself"
    senders = {message.participant_id for _, message in others[1].heard}
    assert senders == {first.participant_id, others[0].participant_id}
    for client in clients:
        await client.connection.close()
