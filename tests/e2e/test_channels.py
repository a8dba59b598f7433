"""Data channels through browsers: what one points at on a shared screen is seen by the others, also by later ones."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.e2e.conftest import Invite
from tests.support.browser import Person
from tests.support.fleet import Fleet
from tests.support.media import SLIDES_NUMBER
from tests.support.waiting import until

_SCREEN = "[data-testid=tile][data-source=screen]"
_PICTURE = f"""() => {{
  const video = document.querySelector('{_SCREEN} video');
  if (!video?.videoWidth) return null;
  const box = video.getBoundingClientRect();
  const scale = Math.min(box.width / video.videoWidth, box.height / video.videoHeight);
  const [width, height] = [video.videoWidth * scale, video.videoHeight * scale];
  return {{ x: box.x + (box.width - width) / 2, y: box.y + (box.height - height) / 2, width, height }};
}}"""
"""Where the shared picture is on the page."""
_DOTS = f"""() => [...document.querySelectorAll('{_SCREEN} [data-testid=pointer]')].map((pointer) => {{
  const dot = pointer.querySelector('.pointer-dot').getBoundingClientRect();
  return [pointer.dataset.name, dot.x + dot.width / 2, dot.y + dot.height / 2];
}})"""


@dataclass(frozen=True)
class Picture:
    """The shared picture on somebody's page, in CSS pixels."""

    x: float
    y: float
    width: float
    height: float


async def _picture(person: Person) -> Picture:
    found = await until(lambda: person.page.evaluate(_PICTURE), bool, what=f"{person.name} sees the shared screen")
    return Picture(**found)


async def _pointers(person: Person) -> dict[str, tuple[float, float]]:
    """Whose pointers somebody sees, and where: fractions of the picture."""
    picture = await _picture(person)
    dots = await person.page.evaluate(_DOTS)
    return {name: ((x - picture.x) / picture.width, (y - picture.y) / picture.height) for name, x, y in dots}


@asynccontextmanager
async def _pointing(person: Person, x: float, y: float) -> AsyncIterator[None]:
    """Move the mouse to and fro by a hair around a place on the shared picture."""
    picture = await _picture(person)

    async def move() -> None:
        for step in range(10_000):
            hair = step % 2
            await person.page.mouse.move(picture.x + x * picture.width + hair, picture.y + y * picture.height)
            await asyncio.sleep(0.05)

    moving = asyncio.create_task(move())
    try:
        yield
    finally:
        moving.cancel()


async def _sees_pointer(person: Person, whose: str, x: float, y: float) -> None:
    def there(seen: dict[str, tuple[float, float]]) -> bool:
        return whose in seen and abs(seen[whose][0] - x) < 0.01 and abs(seen[whose][1] - y) < 0.01

    await until(lambda: _pointers(person), there, what=f"{person.name} sees where {whose} points")


async def test_a_pointer_over_a_shared_screen_is_seen_by_the_others(invite: Invite, fleet: Fleet) -> None:
    ann, bob, cleo = [await invite(number, name=name) for number, name in enumerate(("Ann", "Bob", "Cleo"), 1)]
    link = await ann.start_meeting(fleet.url)
    await bob.join(link)
    offers = await bob.offers()
    assert not await bob.button("Pointer").is_visible(), "nobody shares"
    await ann.open_slides()
    await ann.press("Share screen")
    await bob.sees_number(SLIDES_NUMBER)
    await cleo.join(link)
    await cleo.sees_number(SLIDES_NUMBER)

    async with _pointing(bob, 0.5, 0.5):
        await asyncio.sleep(0.5)
        assert not await _pointers(cleo), "Bob has not taken the pointer"
    await bob.press("Pointer")
    async with _pointing(bob, 0.25, 0.4):
        await _sees_pointer(cleo, "Bob", 0.25, 0.4)
        dan = await invite(4, name="Dan")
        await dan.join(link)
        await dan.sees_number(SLIDES_NUMBER)
        await _sees_pointer(dan, "Bob", 0.25, 0.4)
        assert not await _pointers(bob), "one's own pointer is one's own"
    await until(lambda: _pointers(cleo), lambda seen: not seen, what="a pointer at rest fades")

    await dan.press("Pointer")
    async with _pointing(dan, 0.75, 0.75):
        await _sees_pointer(bob, "Dan", 0.75, 0.75)
        await ann.press("Stop sharing")
        await until(bob.button("Pointer").is_visible, lambda seen: not seen, what="nobody shares any more")
    assert await bob.offers() == offers, "no offer was made for it"
