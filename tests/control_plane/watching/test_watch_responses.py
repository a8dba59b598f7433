"""Events on their way out: encoded once for all who watch, and not decoded on the way, by a real gRPC server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from google.protobuf import descriptor_pool
from grpc import aio

from control_plane.kernel.caller import Caller, CallerKind
from control_plane.log.entry import Batch, Entry
from control_plane.platform.grpc.caller import CURRENT_CALLER
from control_plane.platform.grpc.services import compose
from control_plane.reactions.events import reaction_sent
from control_plane.watching.convert import shared_response
from control_plane.watching.rpc import WatchServicer
from control_plane.watching.service import CheckpointMessage, EventMessage, WatchMessage
from grpc_kit.interceptors.encoded import EncodedInterceptor
from parley.signaling.v1 import signaling_service_pb2
from tests.support.live import NOON, Replica, Watching, attendee, eventually

SERVICE = "parley.signaling.v1.SignalingService"
MEETING = "12345678901"
NAME = f"meetings/{MEETING}/participants/p"
NEWER = b"\xa2\x1f\x04poll"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def entries() -> list[Entry]:
    events = [reaction_sent(MEETING, "p", emoji) for emoji in ("1", "2" * 300)]
    texts = [events[0].SerializeToString(), NEWER, events[1].SerializeToString()]
    return [Entry(f"{number}-0", "", text, None, TRACE if number else "") for number, text in enumerate(texts)]


class Watcher:
    """Streams the same to all."""

    def __init__(self, *batches: Batch) -> None:
        self._batches = batches

    async def watch(self, *_: str, batches: bool) -> AsyncIterator[WatchMessage]:
        del batches
        for one in self._batches:
            yield WatchMessage(EventMessage(one), one.cursor)
        yield WatchMessage(CheckpointMessage(NOON), "the end")


class Others:
    """Has the methods of the service that are none of watching's."""


async def _uncalled(*_: object) -> None:
    pytest.fail("nobody called this")


for _method in descriptor_pool.Default().FindServiceByName(SERVICE).methods:
    if _method.name != "WatchSession":
        setattr(Others, _method.name, _uncalled)


class AsParticipant(aio.ServerInterceptor):
    """Has every call come from one participant."""

    async def intercept_service(self, continuation: Any, details: Any) -> Any:  # noqa: ANN401 - as gRPC's own
        CURRENT_CALLER.set(Caller(CallerKind.PARTICIPANT, NAME, meeting_id=MEETING, participant_id="p"))
        return await continuation(details)


async def responses(servicer: WatchServicer, watchers: int) -> list[list[bytes]]:
    server = aio.server(interceptors=[AsParticipant(), EncodedInterceptor()])
    for service in compose([{SERVICE: servicer}, {SERVICE: Others()}]):
        service.register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call: Any = channel.unary_stream(
                f"/{SERVICE}/WatchSession",
                request_serializer=signaling_service_pb2.WatchSessionRequest.SerializeToString,
                response_deserializer=None,
            )

            async def read() -> list[bytes]:
                return [one async for one in call(signaling_service_pb2.WatchSessionRequest(name=NAME))]

            return list(await asyncio.gather(*[read() for _ in range(watchers)]))
    finally:
        await server.stop(None)


async def test_all_watchers_get_the_bytes_of_the_log_put_together_once() -> None:
    found = entries()
    batches = [Batch((one,), f"cursor {one.position}") for one in found]
    batches.append(Batch(tuple(found), "cursor of all"))
    before = shared_response.cache_info()

    streams = await responses(WatchServicer(cast("Any", Watcher(*batches)), "http://localhost"), 20)

    after = shared_response.cache_info()
    assert (after.misses - before.misses, after.hits - before.hits) == (4, 76)
    for raw in streams:
        read = [signaling_service_pb2.WatchSessionResponse.FromString(one) for one in raw]
        assert [one.sequence for one in read] == [1, 2, 3, 4, 5]
        assert [one.cursor for one in read] == [*(batch.cursor for batch in batches), "the end"]
        assert [one.trace_context.traceparent for one in read] == ["", TRACE, TRACE, "", ""]
        assert [one.WhichOneof("message") for one in read] == ["event"] * 3 + ["event_batch", "checkpoint"]
        assert read[2].event.reaction_sent.emoji == "2" * 300, "a length of two bytes"
        assert all(one.endswith(entry.event) for one, entry in zip(raw, found, strict=False))
        together = read[3].event_batch.events
        assert [one.WhichOneof("kind") for one in together] == ["reaction_sent", None, "reaction_sent"]
        assert together[1].SerializeToString() == NEWER


async def test_what_all_watch_of_a_meeting_is_one_batch(replica: Replica) -> None:
    """Whatever hands batches to watchers hands all of them the same one."""
    replica.part.start()
    joined = [await replica.join(f"Ana {number}") for number in range(5)]
    watching = [Watching(replica, one) for one in joined]
    await eventually(lambda: replica.part.log.watchers == 5)
    await replica.part.reactions.react(attendee(joined[0]), "1", "r1")
    await eventually(lambda: all(one.reactions for one in watching))

    last = [one.messages[-1].message for one in watching]
    assert len({id(message.batch) for message in last if isinstance(message, EventMessage)}) == 1
    for one in watching:
        await one.stop()
