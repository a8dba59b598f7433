"""Chromium windows in the place of the load client, for what only a browser can show.

They answer the operations of the load client that join somebody (`offer`, `answer`, `accept`, `candidate`), so that the
same code drives each server. A window has its person's camera and microphone, and shows everyone who is received.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from playwright.async_api import async_playwright

from benchmarks.call import Call
from benchmarks.peers.peer import Member, Peer
from tests.support.browser import Person, Studio
from tests.support.impairment import Network

_URL: Final = "http://localhost/window"
"""A page of this name is trusted with cameras without TLS; it is answered here."""
_SCRIPT: Final = Path(__file__).with_name("window.js")
_PAGE: Final = "<!doctype html><meta charset=utf-8><title>Window</title><script>{script}</script>"
_SEEN_SECONDS: Final = 30.0


class Windows:
    """The windows by the ids of their members."""

    def __init__(self, camera: tuple[int, int], people: Mapping[str, Person]) -> None:
        self._camera = camera
        self._people = people

    async def open(self) -> None:
        """Opens the page in every window."""
        page = _PAGE.format(script=_SCRIPT.read_text())
        for person in self._people.values():
            await person.page.route(_URL, lambda route: route.fulfill(body=page, content_type="text/html"))
            await person.page.goto(_URL)

    async def ask(self, operation: str, **fields: Any) -> Mapping[str, Any]:  # noqa: ANN401 - JSON
        """Has a member's window do what the load client would."""
        member = fields["id"].removesuffix("-sender").removesuffix("-receiver")
        width, height = self._camera
        wanted = {**fields, "width": width, "height": height}
        reply: Mapping[str, Any] = await self._people[member].page.evaluate(
            "([operation, fields]) => peerWindow[operation](fields)", [operation, wanted]
        )
        return reply


def _member(name: str) -> Member:
    return Member(id=name, sends=("audio", "video"), receives={"audio": 1, "video": 1})


@asynccontextmanager
async def open_call(peer: Peer, camera: tuple[int, int]) -> AsyncIterator[Call]:
    """Holds a call of two on a peer; each has seen the other.

    Args:
        peer: The server.
        camera: Width and height of both cameras.
    """
    with TemporaryDirectory(prefix="parley-windows-") as folder:
        async with async_playwright() as playwright:
            studio = Studio(playwright, Path(folder), camera)
            network = Network(seed=11)
            try:
                near = await studio.person(1, name="Near")
                far = await studio.person(2, name="Far", network=network)
                windows = Windows(camera, {"near": near, "far": far})
                await windows.open()
                async with peer.running(windows, whole=False) as server:
                    await server.enter(1, [_member("near"), _member("far")])
                    await near.sees_number(far.number, within=_SEEN_SECONDS)
                    await far.sees_number(near.number, within=_SEEN_SECONDS)
                    yield Call([near], far, network)
            finally:
                network.close()
                await studio.clear(None)
                await studio.close()
