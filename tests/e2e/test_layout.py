"""Twelve people and nine slots: turning pages and speaking bring the right pictures."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from media_plane.bots import BotClient, BotOptions, PeerOptions
from tests.support.browser import Person
from tests.support.call import Call
from tests.support.fleet import Fleet
from tests.support.participant import Tile
from tests.support.waiting import until

_BOTS = range(10, 20)
_PEOPLE = 12
_PAGE = 9
_LONG = 40.0

pytestmark = pytest.mark.timeout(240)


@pytest_asyncio.fixture(loop_scope="session")
async def bots(call: Call, fleet: Fleet) -> AsyncIterator[dict[str, BotClient]]:
    """Ten more in the call, by name, each with pictures of its own and without a sound."""
    async with AsyncExitStack() as stack:
        bots = {}
        for number in _BOTS:
            bot = BotClient(_options(call, fleet, number))
            stack.push_async_callback(bot.leave)
            await bot.join()
            bots[bot.options.display_name] = bot
        yield bots


def _options(call: Call, fleet: Fleet, number: int) -> BotOptions:
    small = PeerOptions(
        number=number, video_slots=0, audio_slots=0, quiet=True, width=160, height=90, frames_per_second=5
    )
    return BotOptions(fleet.authority, call.meeting, call.passcode, f"Bot {number}", small)


async def test_pages_and_speakers_bring_the_right_pictures(call: Call, bots: dict[str, BotClient]) -> None:
    ann, bob = call.ann, call.bob
    offers = await ann.offers()
    await asyncio.gather(ann.press("Mute"), bob.press("Mute"))
    first = await _right_pictures(ann, _PAGE)
    await ann.press("Next page")
    second = await _right_pictures(ann, _PEOPLE - _PAGE)
    assert first | second == {"Ann", "Bob", *bots}
    assert first & second == set()

    # Who speaks is brought to the first page, with their picture.
    await ann.press("Previous page")
    assert await _right_pictures(ann, _PAGE) == first
    speaker = min(second - {"Ann", "Bob"})
    bots[speaker].peer.speak(speaking=True)
    await until(ann.names, lambda names: speaker in names, within=_LONG, what=f"{speaker} is on the first page")
    await _right_pictures(ann, _PAGE)

    # The speaker's layout shows them large, and the next one who speaks.
    await ann.press("Speaker layout")
    await _large(ann, speaker)
    bots[speaker].peer.speak(speaking=False)
    other = min(set(bots) - {speaker})
    bots[other].peer.speak(speaking=True)
    await _large(ann, other)
    assert await ann.offers() == offers


async def _right_pictures(viewer: Person, count: int) -> set[str]:
    """Wait until so many tiles stand there, each with the picture of the one whose name it bears; their names."""
    tiles = await until(
        viewer.tiles,
        lambda tiles: len(tiles) == count and all(map(_is_right, tiles)),
        within=_LONG,
        what=f"{count} right pictures",
    )
    return {tile.name for tile in tiles}


async def _large(viewer: Person, name: str) -> None:
    def shown(tiles: list[Tile]) -> bool:
        largest = max(tiles, key=lambda tile: tile.area)
        return largest.name == name and _is_right(largest)

    await until(viewer.tiles, shown, within=_LONG, what=f"{name} is shown large")


def _is_right(tile: Tile) -> bool:
    numbers = {"Ann": 1, "Bob": 2} | {f"Bot {number}": number for number in _BOTS}
    return tile.picture is not None and tile.picture.number == numbers[tile.name]
