"""A call in real Chromium windows for measurements, on a product of its own."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import async_playwright

from tests.support.browser import DESKTOP, PHONE, Person, Studio
from tests.support.fleet import Fleet
from tests.support.impairment import Network


@dataclass(frozen=True)
class Call:
    """People in windows.

    Attributes:
        near: Those on the machine's own network.
        far: The one behind `network`.
        network: What can be made worse.
    """

    near: list[Person]
    far: Person
    network: Network


@asynccontextmanager
async def open_call(
    camera: tuple[int, int], *, near: int = 1, grain: bool = False, watched: bool = False
) -> AsyncIterator[Call]:
    """Starts a product and holds a call on it; everybody has seen everybody.

    Args:
        camera: Width and height of everybody's camera.
        near: How many there are besides the one behind the bad network.
        grain: Whether the pictures are hard to encode.
        watched: Whether the one behind the bad network only watches: the others have small windows, and nothing to see
            of that one, so that the machine has time for their cameras.
    """
    with tempfile.TemporaryDirectory(prefix="parley-") as folder:
        fleet = Fleet(Path(folder) / "data", {"PARLEY_LOG_LEVEL": "WARNING"})
        fleet.folder.mkdir()
        await fleet.start()
        try:
            async with async_playwright() as playwright:
                studio = Studio(playwright, Path(folder), camera, grain=grain)
                network = Network(seed=11)
                try:
                    yield await _meet(studio, fleet.url, network, near, watched=watched)
                finally:
                    network.close()
                    await studio.clear(None)
                    await studio.close()
        finally:
            await fleet.stop()


async def _meet(studio: Studio, url: str, network: Network, near: int, *, watched: bool) -> Call:
    size = PHONE if watched else DESKTOP
    others = [await studio.person(number, name=f"Near {number}", viewport=size) for number in range(1, near + 1)]
    far = await studio.person(near + 1, name="Far", network=network)
    link = await others[0].start_meeting(url)
    for other in (*others[1:], far):
        await other.join(link)
    for other in others:
        await other.sees(far, within=30)
        await far.sees(other, within=30)
    if watched:
        await far.press("Stop video")
    return Call(others, far, network)
