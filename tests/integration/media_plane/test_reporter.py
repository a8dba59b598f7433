"""The node registers and reports over a real connection, obeys, and comes back after each loss of the stream."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio
from grpc import aio

from grpc_kit.channel import open_channel
from media_plane.node.agent import Agent
from media_plane.node.announcer import Announcer
from media_plane.node.errors import EpochStaleError, NodeDrainingError
from media_plane.node.event_log import EventLog
from media_plane.node.load import Load
from media_plane.node.reporter import Description, Reporter, back_off
from media_plane.node.rooms import Rooms
from media_plane.node.slot_director import SlotDirector
from parley.node.v1 import node_service_pb2 as pb
from parley.node.v1.node_service_pb2_grpc import NodeServiceServicer, add_NodeServiceServicer_to_server
from tests.support.fake_engine import FakeEngine, port


class ControlPlane(NodeServiceServicer):
    """Answers registrations, keeps what nodes say, and says what the test puts into `commands`."""

    def __init__(self) -> None:
        self.streams: list[list[pb.ReportRequest]] = []
        self.commands: asyncio.Queue[pb.ReportResponse | None] = asyncio.Queue()
        self.tokens: list[str] = []
        self.refusals = 0

    async def Report(  # noqa: N802 - as the contract names it
        self, request_iterator: AsyncIterator[pb.ReportRequest], context: aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.ReportResponse]:
        if self.refusals:
            self.refusals -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        said: list[pb.ReportRequest] = []
        self.streams.append(said)
        self.tokens.append(str(dict(context.invocation_metadata() or ()).get("authorization")))
        said.append(await anext(aiter(request_iterator)))
        configuration = pb.ReportConfiguration()
        configuration.report_interval.FromMilliseconds(20)
        yield pb.ReportResponse(sequence=1, configuration=configuration)
        listening = asyncio.create_task(self._listen(request_iterator, said))
        try:
            while (command := await self.commands.get()) is not None:
                yield command
        finally:
            listening.cancel()

    async def _listen(self, requests: AsyncIterator[pb.ReportRequest], said: list[pb.ReportRequest]) -> None:
        async for request in requests:
            said.append(request)  # noqa: PERF401 - others look while it grows
        self.commands.put_nowait(None)


class Node:
    """A node's reporter with what it reports about."""

    def __init__(self, *targets: str) -> None:
        self.engine = FakeEngine()
        self.rooms = Rooms()
        announcer = Announcer(EventLog())
        director = SlotDirector(port(self.engine), announcer)
        self.agent = Agent(
            engine=port(self.engine),
            rooms=self.rooms,
            director=director,
            announcer=announcer,
            addresses=lambda: ["127.0.0.1"],
        )
        self.channels = [open_channel(target, bearer_token="secret") for target in targets]
        self.reporter = Reporter(
            channels=self.channels,
            description=Description("nodes/n", "11111111-1111-4111-8111-111111111111", "r", "1", "h:1", 10, 2),
            load=Load(port(self.engine), self.rooms),
            agent=self.agent,
            uniform=lambda low, _: low,
        )
        self.running = asyncio.create_task(self.reporter.run())

    async def close(self) -> None:
        for channel in self.channels:
            await channel.close()


@pytest_asyncio.fixture
async def plane() -> AsyncIterator[tuple[ControlPlane, str]]:
    server = aio.server()
    servicer = ControlPlane()
    add_NodeServiceServicer_to_server(servicer, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield servicer, address
    await server.stop(None)


@pytest_asyncio.fixture
async def node(plane: tuple[ControlPlane, str]) -> AsyncIterator[Node]:
    node = Node(plane[1])
    yield node
    node.running.cancel()
    await asyncio.gather(node.running, return_exceptions=True)
    await node.close()


async def until(condition: Any, timeout_seconds: float = 30.0) -> None:  # noqa: ANN401 - any question
    async with asyncio.timeout(timeout_seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for comes from the reporter's task
            await asyncio.sleep(0.005)


async def test_a_node_registers_then_reports_counters_at_the_interval(
    plane: tuple[ControlPlane, str], node: Node
) -> None:
    servicer, _ = plane
    node.agent.open_room("7", 3)
    await until(lambda: servicer.streams and len(servicer.streams[0]) >= 4)
    registration, *reports = servicer.streams[0]
    assert registration.registration.node == "nodes/n"
    assert registration.registration.session_capacity == 10
    assert servicer.tokens == ["Bearer secret"]
    assert [request.sequence for request in servicer.streams[0]] == list(range(1, len(reports) + 2))
    assert all(request.HasField("load_report") for request in reports)
    report = reports[-1].load_report
    assert (report.packets_sent, report.datagrams_dropped) == (7, 3)
    assert [(room.room, room.epoch, room.session_count) for room in report.rooms] == [("rooms/7", 3, 0)]
    assert report.resident_memory_bytes > 1_000_000
    times = [request.load_report.cpu_time.ToNanoseconds() for request in reports]
    assert times == sorted(times)


async def test_a_lost_stream_is_opened_again_with_the_rooms_of_now(plane: tuple[ControlPlane, str], node: Node) -> None:
    servicer, _ = plane
    await until(lambda: servicer.streams and len(servicer.streams[0]) >= 2)
    node.agent.open_room("7", 3)
    node.agent.drain()
    servicer.refusals = 2
    servicer.commands.put_nowait(None)
    await until(lambda: len(servicer.streams) == 2 and servicer.streams[1])
    registration = servicer.streams[1][0].registration
    assert [(room.room, room.epoch) for room in registration.rooms] == [("rooms/7", 3)]
    assert registration.draining
    assert servicer.refusals == 0


async def test_fence_and_drain_are_obeyed(plane: tuple[ControlPlane, str], node: Node) -> None:
    servicer, _ = plane
    node.agent.open_room("7", 3)
    node.agent.open_room("8", 1)
    await until(lambda: servicer.streams)
    servicer.commands.put_nowait(pb.ReportResponse(fence_room=pb.FenceRoom(room="rooms/7", epoch=4)))
    await until(lambda: node.rooms.find("7") is None)
    with pytest.raises(EpochStaleError):
        node.agent.open_room("7", 3)

    drain = pb.Drain()
    drain.deadline.FromNanoseconds(time.time_ns() + 100_000_000)
    servicer.commands.put_nowait(pb.ReportResponse(drain=drain))
    await until(lambda: node.agent.is_draining)
    with pytest.raises(NodeDrainingError):
        node.agent.open_room("9", 1)
    assert node.rooms.find("8") is not None
    await until(lambda: len(node.rooms) == 0)


async def test_goodbye_is_the_last_word(plane: tuple[ControlPlane, str], node: Node) -> None:
    servicer, _ = plane
    await until(lambda: servicer.streams and len(servicer.streams[0]) >= 2)
    await node.reporter.say_goodbye()
    await asyncio.wait_for(node.running, 5)
    await until(lambda: servicer.streams[0][-1].HasField("goodbye"))
    assert len(servicer.streams) == 1


def test_the_back_off_grows_within_its_bounds() -> None:
    ceilings = [back_off(attempt, lambda _, high: high) for attempt in range(20)]
    assert ceilings[0] == 0.1
    assert all(earlier <= later for earlier, later in itertools.pairwise(ceilings))
    assert ceilings[-1] == 5.0
    assert {back_off(attempt, lambda low, _: low) for attempt in range(20)} == {0.1}


async def test_a_fault_in_what_is_reported_or_told_does_not_end_the_reports(
    plane: tuple[ControlPlane, str], node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that reports no more is lost to everybody, though its media go on."""
    servicer, _ = plane
    await until(lambda: servicer.streams and len(servicer.streams[0]) >= 2)
    counters = node.engine.counters
    monkeypatch.setattr(node.engine, "counters", dict)  # a report lacks what it needs
    await until(lambda: len(servicer.streams) >= 2)
    monkeypatch.setattr(node.engine, "counters", counters)
    await until(lambda: len(servicer.streams[-1]) >= 3)
    streams = len(servicer.streams)

    monkeypatch.setattr(node.agent, "fence_room", None)  # a command fails that nobody foresaw
    fence = pb.ReportResponse(sequence=2)
    fence.fence_room.room = "rooms/7"
    servicer.commands.put_nowait(fence)
    await until(lambda: len(servicer.streams) > streams and len(servicer.streams[-1]) >= 3)

    assert not node.running.done()


async def test_a_node_reports_to_one_control_plane_and_goes_to_the_next_when_that_is_gone() -> None:
    planes = [aio.server(), aio.server()]
    servicers = [ControlPlane(), ControlPlane()]
    addresses = []
    for server, servicer in zip(planes, servicers, strict=True):
        add_NodeServiceServicer_to_server(servicer, server)
        addresses.append(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
        await server.start()
    node = Node(*addresses)
    try:
        await until(lambda: servicers[0].streams and len(servicers[0].streams[0]) >= 3)
        assert not servicers[1].streams

        await planes[0].stop(None)

        await until(lambda: servicers[1].streams and len(servicers[1].streams[0]) >= 3)
        assert servicers[1].streams[0][0].HasField("registration")
    finally:
        node.running.cancel()
        await asyncio.gather(node.running, return_exceptions=True)
        await node.close()
        for server in planes:
            await server.stop(None)
