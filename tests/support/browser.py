"""People in real Chromium windows, each with a camera and a microphone that others can recognise."""

import asyncio
import json
import os
import re
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from playwright.async_api import Browser, BrowserContext, Error, Locator, Page, Playwright

from media_plane.bots.picture import HEIGHT, WIDTH
from tests.support import media
from tests.support.impairment import Network
from tests.support.participant import Participant

CHROMIUM: Final = "/usr/bin/chromium"
_FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--allow-loopback-in-peer-connection",
    "--use-fake-device-for-media-stream",
    f"--auto-select-tab-capture-source-by-title={media.SLIDES_TITLE}",
)
DESKTOP: Final = (1280, 800)
"""Width and height of a window on a desk."""
PHONE: Final = (360, 640)
"""The same on a phone."""
_PERMISSIONS: Final = ("camera", "microphone")
_MAX_TABS: Final = 40
_SLIDES_PATH: Final = "/slides-of-the-test"


@dataclass(slots=True)
class Studio:
    """Starts the browsers: a browser has one camera file for life, so each participant number has its own."""

    playwright: Playwright
    folder: Path
    camera_size: tuple[int, int] = (WIDTH, HEIGHT)
    program: str = CHROMIUM
    grain: bool = False
    _browsers: dict[int, Browser] = field(default_factory=dict)
    _people: list["Person"] = field(default_factory=list)

    async def person(
        self,
        number: int,
        *,
        name: str | None = None,
        permissions: Sequence[str] = _PERMISSIONS,
        viewport: tuple[int, int] = DESKTOP,
        network: Network | None = None,
    ) -> "Person":
        """Open a fresh window (no stored state) for participant `number`, behind `network` if there is one."""
        context = await (await self._browser(number)).new_context(
            permissions=list(permissions),
            viewport={"width": viewport[0], "height": viewport[1]},
            reduced_motion="reduce",
            ignore_https_errors=True,
        )
        context.set_default_timeout(15_000)
        await context.add_init_script(media.PROBE_SCRIPT)
        if network is not None:
            await network.attach(context)
        page = await context.new_page()
        person = Person(number=number, name=name or f"Person {number}", context=context, page=page)
        page.on("console", lambda message: person.console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: person.console.append(f"uncaught: {error}"))
        self._people.append(person)
        return person

    async def _browser(self, number: int) -> Browser:
        if number not in self._browsers:
            camera, microphone = self.folder / f"{number}.y4m", self.folder / f"{number}.wav"
            if not camera.exists():
                await asyncio.to_thread(media.write_video, camera, number, self.camera_size, grain=self.grain)
                await asyncio.to_thread(media.write_tone, microphone, number)
            self._browsers[number] = await self.playwright.chromium.launch(
                executable_path=self.program,
                args=[
                    *_FLAGS,
                    f"--use-file-for-fake-video-capture={camera}",
                    f"--use-file-for-fake-audio-capture={microphone}",
                ],
            )
        return self._browsers[number]

    async def processes(self, number: int) -> list[int]:
        """Ids of the processes of participant `number`'s browser, the one that began the others first."""
        session = await self._browsers[number].new_browser_cdp_session()
        processes = (await session.send("SystemInfo.getProcessInfo"))["processInfo"]
        return [process["id"] for process in sorted(processes, key=lambda one: one["type"] != "browser")]

    async def kill(self, number: int) -> None:
        """End participant `number`'s browser as a crash does: nothing of it says a last word."""
        for process in await self.processes(number):
            with suppress(ProcessLookupError):  # with the first one the others may have gone
                os.kill(process, signal.SIGKILL)
        browser = self._browsers.pop(number)
        self._people = [person for person in self._people if person.context.browser is not browser]

    async def clear(self, evidence: Path | None) -> None:
        """Close all windows; with `evidence`, first keep what each showed and said there."""
        for person in self._people:
            if evidence is not None:
                with suppress(Error):
                    await person.keep_evidence(evidence)
            with suppress(Error):
                await person.context.close()
        self._people.clear()

    async def close(self) -> None:
        """End all browsers."""
        for browser in self._browsers.values():
            await browser.close()


@dataclass(slots=True)
class Person(Participant):
    """Somebody at a window of Chromium."""

    context: BrowserContext
    page: Page

    @property
    def url(self) -> str:
        """Address that the window shows."""
        return self.page.url

    async def visit(self, url: str) -> None:
        """Open an address."""
        await self.page.goto(url)

    async def fill(self, label: str, text: str) -> None:
        """Write into a field by its label."""
        await self.page.get_by_label(label).fill(text)

    async def finds(self, name: str) -> None:
        """Wait for a button by its whole accessible name."""
        await self.button(name).wait_for()

    def button(self, name: str) -> Locator:
        """Find a button by its whole accessible name."""
        return self.page.get_by_role("button", name=name, exact=True)

    async def press(self, name: str) -> None:
        """Press a button by its whole accessible name."""
        await self.button(name).click()

    async def sees_text(self, pattern: str, *, within: float = 15) -> None:
        """Wait until a text that matches is visible."""
        locator = self.page.get_by_text(re.compile(pattern, re.IGNORECASE)).locator("visible=true").first
        await locator.wait_for(timeout=within * 1000)

    async def react(self, emoji: str) -> None:
        """Pick a reaction."""
        await self.press("React")
        await self.page.get_by_role("button").filter(has_text=emoji).click()

    async def end_for_everyone(self) -> None:
        """End the meeting, as its host can."""
        await self.press("More")
        await self.page.get_by_role("menuitem", name="End for everyone").click()
        await self.press("End it")

    async def give_passcode(self, passcode: str) -> None:
        """Answer the question for the passcode."""
        await self.fill("Passcode", passcode)
        await self.press("Continue")

    async def tab_to(self, name: str) -> None:
        """Move the focus by the Tab key until it is on the control of this name."""
        focused = """() => { const at = document.activeElement;
          return at && (at.ariaLabel || at.labels?.[0]?.innerText || at.innerText || '').trim(); }"""
        for _ in range(_MAX_TABS):
            if await self.evaluate(focused) == name:
                return
            await self.page.keyboard.press("Tab")
        message = f"{_MAX_TABS} times Tab do not lead to {name}"
        raise AssertionError(message)

    async def open_slides(self) -> None:
        """Open the page that this person can share, in a second tab."""
        origin = re.sub(r"^(https?://[^/]+).*", r"\1", self.page.url)
        await self.context.route(
            f"{origin}{_SLIDES_PATH}",
            lambda route: route.fulfill(body=media.SLIDES_PAGE, content_type="text/html"),
        )
        slides = await self.context.new_page()
        await slides.goto(f"{origin}{_SLIDES_PATH}")
        await self.page.bring_to_front()

    async def keep_evidence(self, folder: Path) -> None:
        """Save a screenshot, the console and what the probe sees into an existing folder."""
        seen = {"tiles": [str(tile) for tile in await self.tiles()], "tones": await self.tones()}
        log = "\n".join([self.page.url, json.dumps(seen), *self.console])
        await asyncio.to_thread((folder / f"person-{self.number}.log").write_text, log)
        await self.page.screenshot(path=folder / f"person-{self.number}.png", timeout=5_000)

    async def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - whatever the page answers
        """Evaluate a JavaScript expression in the page."""
        return await self.page.evaluate(expression)


def passcode_of(link: str) -> str:
    """Passcode in a link's fragment."""
    return unquote(link.partition("#")[2])
