"""Bots in a meeting: control plane, stores and node are real, only the gateway is left out."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from media_plane.bots import BotClient, BotOptions, BotPeer, PeerOptions
from media_plane.bots.client import create_meeting
from tests.support.control_plane import NODE_TOKEN, running
from tests.support.node_driver import NodeProcess, run_node


@pytest_asyncio.fixture
async def target(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[str]:
    """Address of a control plane that has a node."""
    async with running(database_url, redis_url, tmp_path) as plane:
        address = f"127.0.0.1:{plane.port}"
        async with run_node(tmp_path, PARLEY_CONTROL_PLANE_TARGET=address, PARLEY_NODE_TOKEN=NODE_TOKEN):
            yield address


async def test_bots_meet_mute_choose_and_leave(target: str) -> None:
    meeting, passcode, token = await create_meeting(target)

    def bot(number: int, access_token: str = "") -> BotClient:
        peer = PeerOptions(number=number, video_slots=2)
        return BotClient(BotOptions(target, meeting, passcode, f"Bot {number}", peer, access_token))

    first, second = bot(1, token), bot(2)
    await join_when_there_is_a_node(first)
    await second.join()
    await first.wait_until(lambda: set(first.peer.seen().values()) == {2}, 20)
    await second.wait_until(lambda: set(second.peer.seen().values()) == {1} and second.peer.heard() == {1}, 20)
    slot = first.peer.video[0].mid
    await first.wait_until(lambda: first.view.slots.get(slot) == (second.name, second.peer.mids["camera"]), 20)
    assert first.view.participants[second.name].display_name == "Bot 2"
    times = second.times()
    assert times.connected is not None
    assert times.first_frame is not None
    assert 0 < times.answered < times.connected < times.first_frame

    await second.mute("camera", muted=True)
    await first.wait_until(lambda: slot not in first.view.slots and not first.peer.seen(), 20)
    camera = next(track for track in first.view.participants[second.name].tracks if track.source == 2)
    assert camera.muted
    await second.mute("camera", muted=False)
    await first.wait_until(lambda: set(first.peer.seen().values()) == {2}, 20)
    await first.show({first.peer.video[1].mid: (second.name, second.peer.mids["camera"])})
    await first.wait_until(lambda: first.peer.seen().get(first.peer.video[1].mid) == 2, 20)

    await second.leave()
    await first.wait_until(lambda: second.name not in first.view.participants, 20)
    await first.leave()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_bots_follow_their_room_to_another_node(
    database_url: str, redis_url: str, tmp_path: Path, end: signal.Signals
) -> None:
    async with running(database_url, redis_url, tmp_path) as plane, AsyncExitStack() as nodes:
        target = f"127.0.0.1:{plane.port}"

        async def start(name: str) -> NodeProcess:
            return await nodes.enter_async_context(
                run_node(
                    tmp_path, PARLEY_CONTROL_PLANE_TARGET=target, PARLEY_NODE_TOKEN=NODE_TOKEN, PARLEY_NODE_ID=name
                )
            )

        old = await start("old")
        meeting, passcode, token = await create_meeting(target)
        bots = [
            BotClient(
                BotOptions(
                    target, meeting, passcode, f"Bot {number}", PeerOptions(number=number, video_slots=1), access
                )
            )
            for number, access in ((1, token), (2, ""))
        ]
        for bot in bots:
            await join_when_there_is_a_node(bot)
        await bots[0].wait_until(lambda: set(bots[0].peer.seen().values()) == {2}, 20)
        await start("new")
        before = [bot.peer for bot in bots]
        old.process.send_signal(end)
        for bot, peer, other in zip(bots, before, (2, 1), strict=True):
            await wait_for_a_new_picture(bot, peer, other)
            assert bot.view.moves == 1
        for bot in bots:
            await bot.leave()


async def wait_for_a_new_picture(bot: BotClient, peer: BotPeer, number: int) -> None:
    await bot.wait_until(lambda: bot.peer is not peer and set(bot.peer.seen().values()) == {number}, 30)


async def join_when_there_is_a_node(bot: BotClient) -> None:
    """Join; the node's registration may still be under way."""
    from grpc import aio  # noqa: PLC0415 - only here

    await bot.prepare()
    for _ in range(100):
        try:
            await bot.join()
        except aio.AioRpcError as error:
            if error.code().name != "UNAVAILABLE":
                raise
            await asyncio.sleep(0.1)
        else:
            return
