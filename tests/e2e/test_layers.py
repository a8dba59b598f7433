"""Three encodings in, one out: the size of a tile decides which, and what nobody needs is not encoded."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
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
_RISE_SECONDS: Final = 20.0
"""A step up waits for ten seconds after a step down, unless the layout asks for it, and for a key frame."""
_WATCH_SECONDS: Final = 3.0
_LARGEST_OFFER_LINE: Final = 2_000
"""Bytes of an offer for each m-line."""

_FORCE: Final = """({ codec, scalability }) => {
  const wanted = [`video/${codec}`, 'video/rtx'].map((name) => name.toLowerCase());
  const { setCodecPreferences } = RTCRtpTransceiver.prototype;
  RTCRtpTransceiver.prototype.setCodecPreferences = function (codecs) {
    const video = codecs.some(({ mimeType }) => mimeType.startsWith('video/'));
    const kept = codecs.filter(({ mimeType }) => !video || wanted.includes(mimeType.toLowerCase()));
    setCodecPreferences.call(this, kept);
  };
  if (!scalability) return;
  const { addTransceiver } = RTCPeerConnection.prototype;
  RTCPeerConnection.prototype.addTransceiver = function (what, init) {
    const layered = { ...init, sendEncodings: [{ scalabilityMode: scalability }] };
    return addTransceiver.call(this, what, init?.sendEncodings?.length > 1 ? layered : init);
  };
}"""
"""Lets a page know one video codec only, and send spatial layers in one stream where a mode is given: by itself the web
client prefers VP8 and simulcast."""
_RECEIVED: Final = """async () => {
  const found = { codec: '', height: 0, frames: 0 };
  for (const connection of parleyTest.connections) {
    if (connection.connectionState !== 'connected') continue;
    const all = await connection.getStats();
    for (const stats of all.values()) {
      if (stats.type !== 'inbound-rtp' || stats.kind !== 'video' || !stats.framesDecoded) continue;
      if (stats.framesDecoded < found.frames) continue;
      const { frameHeight: height, framesDecoded: frames, codecId } = stats;
      Object.assign(found, { codec: all.get(codecId)?.mimeType ?? '', height, frames });
    }
  }
  return found;
}"""
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
    await until(ann.height, lambda height: height == _CAMERA[1], within=_WARM_SECONDS, what="a large picture at first")
    await ann.press("Gallery layout")
    await ann.page.set_viewport_size(_PHONE)
    await until(ann.height, lambda height: 0 < height < _CAMERA[1], what="a small picture in a small tile")
    await until(bob.encoding, lambda rids: "f" not in rids and "q" in rids, what="Bob stops his largest")

    await ann.page.set_viewport_size(_DESKTOP)
    await asyncio.sleep(_SETTLE_SECONDS)
    await ann.press("Speaker layout")
    await until(ann.height, lambda height: height == _CAMERA[1], within=_SWITCH_SECONDS, what="the large picture")
    await ann.sees(bob)
    assert "f" in await bob.encoding()


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


@dataclass(frozen=True, slots=True)
class Coding:
    """A codec, and how its layers are sent: a scalability mode (W3C WebRTC-SVC), or simulcast without one."""

    codec: str
    scalability: str | None = None

    def __str__(self) -> str:
        return f"{self.codec} {self.scalability or 'simulcast'}"


@pytest.mark.parametrize(
    "coding",
    [Coding("VP9", "L3T3_KEY"), Coding("VP9"), Coding("AV1", "L3T3_KEY"), Coding("AV1"), Coding("H264")],
    ids=str,
)
async def test_other_codecs_change_layers_too(fleet: Fleet, coding: Coding) -> None:
    async with _talking(fleet, coding) as (ann, bob):
        await ann.press("Speaker layout")
        full = await _sees_layer(ann, lambda height: height == _CAMERA[1], what="a large picture", within=_WARM_SECONDS)
        assert full["codec"].lower() == f"video/{coding.codec}".lower()
        await _goes_on(ann, bob)

        await ann.press("Gallery layout")
        await ann.page.set_viewport_size(_PHONE)
        await _sees_layer(ann, lambda height: 0 < height < _CAMERA[1], what="a small picture in a small tile")
        await _goes_on(ann, bob)

        await ann.page.set_viewport_size(_DESKTOP)
        await asyncio.sleep(_SETTLE_SECONDS)
        await ann.press("Speaker layout")
        await _sees_layer(ann, lambda height: height == _CAMERA[1], what="the large picture again")
        await _goes_on(ann, bob)


@asynccontextmanager
async def _talking(fleet: Fleet, coding: Coding) -> AsyncIterator[tuple[Person, Person]]:
    """Two in a meeting who know one codec only."""
    script = f"({_FORCE})({json.dumps(asdict(coding))})"
    with tempfile.TemporaryDirectory(prefix="parley-media-") as folder:
        async with async_playwright() as playwright:
            small, large = Studio(playwright, Path(folder)), Studio(playwright, Path(folder), _CAMERA)
            ann, bob = await small.person(1, name="Ann"), await large.person(2, name="Bob")
            for person in (ann, bob):
                await person.context.add_init_script(script)
            await bob.join(await ann.start_meeting(fleet.url))
            await ann.sees(bob, within=_WARM_SECONDS)
            await bob.sees(ann, within=_WARM_SECONDS)
            yield ann, bob
            await small.close()
            await large.close()


async def _sees_layer(
    person: Person, fits: Callable[[int], bool], *, what: str, within: float = _RISE_SECONDS
) -> dict[str, Any]:
    """Wait until frames of such a height are decoded; return what the browser says of the stream."""
    return await until(lambda: _received(person), lambda seen: fits(seen["height"]), within=within, what=what)


async def _received(person: Person) -> dict[str, Any]:
    """Codec, height and number of frames of the stream of which most frames were decoded."""
    seen: dict[str, Any] = await person.page.evaluate(_RECEIVED)
    return seen


async def _goes_on(viewer: Person, other: Person) -> None:
    """Look at the picture for a while: it moves on, and it is the other's."""
    await viewer.follow(other)
    await asyncio.sleep(_WATCH_SECONDS)
    seen = await viewer.followed(other)
    assert seen.changes > _WATCH_SECONDS, f"{viewer.name} sees {other.name} freeze: {seen}"
