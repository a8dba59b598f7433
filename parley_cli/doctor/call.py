"""A real call between two headless clients, through the gateway."""

import asyncio
import time
from dataclasses import dataclass

import grpc

from grpc_kit.errors import read_error
from media_plane.bots import BotClient, BotOptions, PeerOptions
from media_plane.bots.client import create_meeting
from parley_cli.bench.statistics import quantile

_CONNECT_SECONDS = 15.0
_CALL_SECONDS = 5.0
_PAUSE = 0.005
_MILLISECONDS = 1_000


@dataclass(frozen=True)
class CallReport:
    """How a call went.

    Attributes:
        error: Why it failed; empty: it did not, and the rest is set.
        join_ms: The second caller's click to the first decoded picture of the first.
        connected_ms: Click to connected media.
        sound: Whether each heard the other.
        packets: RTP packets that the two received.
        loss_percent: Share of packets that did not arrive.
        latency_ms: Median from a picture's painting on one side to its decoding on the other, encoder and decoder
            included.
    """

    error: str = ""
    join_ms: float | None = None
    connected_ms: float | None = None
    sound: bool = False
    packets: int = 0
    loss_percent: float | None = None
    latency_ms: float | None = None


async def call(target: str) -> CallReport:
    """Holds a call of some seconds at the gateway `target` (`host:port`, without TLS)."""
    try:
        meeting, passcode, token = await create_meeting(target)
        first = _caller(target, meeting, passcode, 1, token)
        second = _caller(target, meeting, passcode, 2)
        try:
            await first.join()
            await second.prepare()
            await second.join()
            await _meet(first, second)
            return await _talk(first, second)
        finally:
            for bot in (second, first):
                await bot.close()
    except grpc.aio.AioRpcError as error:
        details = read_error(error)
        return CallReport(error=f"{details.code.name} {details.reason}: {details.message}")
    except TimeoutError:
        return CallReport(error=f"The callers did not see and hear each other within {_CONNECT_SECONDS:g} s.")


def _caller(target: str, meeting: str, passcode: str, number: int, token: str = "") -> BotClient:
    peer = PeerOptions(number=number, frames_per_second=25)
    return BotClient(BotOptions(target, meeting, passcode, f"Doctor {number}", peer, token))


async def _meet(first: BotClient, second: BotClient) -> None:
    await _receives(first, 2)
    await _receives(second, 1)


async def _receives(bot: BotClient, other: int) -> None:
    await bot.wait_until(lambda: other in bot.peer.seen().values(), _CONNECT_SECONDS)
    await bot.wait_until(lambda: bot.times().first_sound is not None, _CONNECT_SECONDS)


async def _talk(first: BotClient, second: BotClient) -> CallReport:
    latencies = await _picture_latencies(first, second)
    counts = [await bot.peer.packets() for bot in (first, second)]
    received, lost = sum(each[0] for each in counts), sum(each[1] for each in counts)
    times = second.times()
    return CallReport(
        join_ms=_ms(times.first_frame),
        connected_ms=_ms(times.connected),
        sound=all(bot.times().first_sound is not None for bot in (first, second)),
        packets=received,
        loss_percent=round(100 * lost / (received + lost), 3) if received else None,
        latency_ms=_ms(quantile(latencies, 0.5)) if latencies else None,
    )


async def _picture_latencies(sender: BotClient, receiver: BotClient) -> list[float]:
    """Seconds that pictures took from one side to the other."""
    latencies: dict[float, float] = {}
    end = time.monotonic() + _CALL_SECONDS
    while time.monotonic() < end:
        for slot in receiver.peer.video:
            if slot.mark is None or slot.mark_time is None or slot.mark.number != sender.options.peer.number:
                continue
            painted = sender.peer.painted_at(slot.mark.counter)
            if painted is not None and slot.mark_time > painted:
                latencies[slot.mark_time] = slot.mark_time - painted
        await asyncio.sleep(_PAUSE)
    return list(latencies.values())


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * _MILLISECONDS, 1)
