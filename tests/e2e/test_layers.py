"""Three encodings in, one out: the size of a tile decides which, and what nobody needs is not encoded."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import ViewportSize, async_playwright

from tests.support.browser import Person, Studio
from tests.support.fleet import Fleet
from tests.support.waiting import until

_CAMERA: Final = (960, 540)
"""The smallest of which Chromium sends three encodings: of 135, 270 and 540 lines."""
_PHONE: Final[ViewportSize] = {"width": 300, "height": 420}
_DESKTOP: Final[ViewportSize] = {"width": 1280, "height": 1000}
_WARM_SECONDS: Final = 40.0
"""Until the sender's own estimate of its network allows all three encodings."""
_SWITCH_SECONDS: Final = 5.0
"""Far more than the 0.3 s of an idle machine; two browsers and a fleet share two cores here."""
_SETTLE_SECONDS: Final = 0.5
_LARGEST_OFFER_LINE: Final = 2_000
"""Bytes of an offer for each m-line."""

_SENT: Final = """async () => {
  const rids = {};
  for (const connection of parleyTest.connections) {
    if (connection.connectionState !== 'connected') continue;
    for (const stats of (await connection.getStats()).values()) {
      if (stats.type === 'outbound-rtp' && stats.rid) rids[stats.rid] = stats.framesEncoded ?? 0;
    }
  }
  return rids;
}"""
_SEEN_HEIGHT: Final = """() => Math.max(0, ...[...document.querySelectorAll('[data-testid=tile] video[data-slot]')]
  .map((video) => video.videoHeight))"""
_OFFER: Final = "() => parleyTest.connections.at(-1).localDescription.sdp"

pytestmark = pytest.mark.timeout(240)


@pytest_asyncio.fixture(loop_scope="session")
async def pair(fleet: Fleet) -> AsyncIterator[tuple[Person, Person]]:
    """Two in a meeting; Bob's camera is large enough for three encodings."""
    with tempfile.TemporaryDirectory(prefix="parley-media-") as folder:
        async with async_playwright() as playwright:
            small, large = Studio(playwright, Path(folder)), Studio(playwright, Path(folder), _CAMERA)
            ann, bob = await small.person(1, name="Ann"), await large.person(2, name="Bob")
            await bob.join(await ann.start_meeting(fleet.url))
            await ann.sees(bob)
            await bob.sees(ann)
            yield ann, bob
            await small.close()
            await large.close()


async def test_a_tile_gets_the_layer_of_its_size_and_the_others_are_not_encoded(pair: tuple[Person, Person]) -> None:
    ann, bob = pair
    await ann.press("Speaker layout")
    await until(
        lambda: _height(ann), lambda height: height == _CAMERA[1], within=_WARM_SECONDS, what="a large picture at first"
    )
    await ann.press("Gallery layout")
    await ann.page.set_viewport_size(_PHONE)
    await until(lambda: _height(ann), lambda height: 0 < height < _CAMERA[1], what="a small picture in a small tile")
    await until(lambda: _encoding(bob), lambda rids: "f" not in rids and "q" in rids, what="Bob stops his largest")

    await ann.page.set_viewport_size(_DESKTOP)
    await asyncio.sleep(_SETTLE_SECONDS)
    await ann.press("Speaker layout")
    await until(
        lambda: _height(ann), lambda height: height == _CAMERA[1], within=_SWITCH_SECONDS, what="the large picture"
    )
    await ann.sees(bob)
    assert "f" in await _encoding(bob)


async def test_the_offer_is_small(pair: tuple[Person, Person]) -> None:
    sdp: str = await pair[0].page.evaluate(_OFFER)

    assert len(sdp) / sdp.count("\nm=") < _LARGEST_OFFER_LINE
    assert sdp.count("a=simulcast:send q;h;f") == 1


async def test_the_details_say_what_each_picture_is(pair: tuple[Person, Person]) -> None:
    ann, _ = pair
    await ann.press("More")
    await ann.page.get_by_role("menuitem", name="Connection details").click()
    details = ann.page.get_by_role("complementary", name="Connection details")
    await (
        details.get_by_text("Your connection is good")
        .or_(details.get_by_text("Your connection carries about"))
        .wait_for()
    )
    picture = details.locator("[data-reason]")
    await until(picture.all_inner_texts, lambda texts: any("Bob" in text and "fps" in text for text in texts))
    sent = details.locator("[data-rid]")
    await until(sent.count, lambda count: count == len("qhf"), what="what Ann sends")
    await ann.page.keyboard.press("Escape")
    await details.wait_for(state="detached")


async def _height(person: Person) -> int:
    height: int = await person.page.evaluate(_SEEN_HEIGHT)
    return height


async def _encoding(person: Person) -> set[str]:
    """The encodings of which frames were encoded in the last second."""
    before: dict[str, Any] = await person.page.evaluate(_SENT)
    await asyncio.sleep(1)
    now: dict[str, Any] = await person.page.evaluate(_SENT)
    return {rid for rid, frames in now.items() if frames > before.get(rid, 0)}
