"""People in real Chromium windows, each with a camera and a microphone that others can recognise."""

import asyncio
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from playwright.async_api import Browser, BrowserContext, Error, Locator, Page, Playwright

from media_plane.bots.picture import HEIGHT, WIDTH
from media_plane.bots.tone import frequency_of
from tests.support import media
from tests.support.impairment import Network
from tests.support.media import Mark
from tests.support.waiting import until

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


@dataclass(frozen=True, slots=True)
class Tile:
    """What one tile of the grid shows: a person, or the screen that a person shares."""

    participant: str
    name: str
    screen: bool
    video: bool
    area: int
    picture: Mark | None


@dataclass(frozen=True, slots=True)
class Followed:
    """How steadily a picture moved: how often it changed, and the longest time in seconds that it did not."""

    changes: int
    longest_freeze: float


@dataclass(frozen=True, slots=True)
class Steadiness:
    """How steadily a picture moved, by the frames that were presented.

    Attributes:
        seconds: Time watched.
        frames: New pictures in that time.
        freezes: Gaps of more than three usual ones, or 150 ms more than a usual one (as WebRTC's freezeCount counts);
            usual is the median, or the mean where the page was too busy to see each frame.
        frozen_share: Share of the time that lies in those gaps.
        unfilmed_share: Share of the time that lies in those after which the camera's very next picture is seen:
            the camera stood still, as where its machine is busy, and nothing was lost or late.
        longest_freeze: The longest of them in seconds.
    """

    seconds: float
    frames: int
    freezes: int
    frozen_share: float
    unfilmed_share: float
    longest_freeze: float


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
class Person:
    """Somebody at a window, acting through what the web client shows."""

    number: int
    name: str
    context: BrowserContext
    page: Page
    console: list[str] = field(default_factory=list)

    async def start_meeting(self, url: str) -> str:
        """Begin a new meeting from the home page and enter it; return the link for others."""
        await self.page.goto(url)
        await self.button("New meeting").click()
        await self.enter()
        return self.page.url

    async def join(self, link: str) -> None:
        """Follow a link, give a name and enter the meeting."""
        await self.page.goto(link)
        await self.enter()

    async def enter(self) -> None:
        """Pass the pre-join screen, and wait for the meeting."""
        await self.page.get_by_label("Your name").fill(self.name)
        await self.button("Join now").click()
        await self.button("Leave").wait_for()

    def button(self, name: str) -> Locator:
        """Find a button by its whole accessible name."""
        return self.page.get_by_role("button", name=name, exact=True)

    async def press(self, name: str) -> None:
        """Press a button by its whole accessible name."""
        await self.button(name).click()

    async def tiles(self) -> list[Tile]:
        """Read all tiles of the grid."""
        return [
            Tile(
                participant=tile["participant"] or "",
                name=tile["name"] or "",
                screen=tile["screen"],
                video=tile["video"],
                area=tile["area"],
                picture=Mark(**tile["picture"]) if tile["picture"] else None,
            )
            for tile in await self._evaluate("parleyTest.tiles()")
        ]

    async def names(self) -> set[str]:
        """Names on the people's tiles."""
        return {tile.name for tile in await self.tiles() if not tile.screen}

    async def pictures(self) -> dict[int, int]:
        """Counter of the picture seen of each participant number."""
        return {tile.picture.number: tile.picture.counter for tile in await self.tiles() if tile.picture}

    async def sees(self, other: "Person", *, within: float = 15) -> None:
        """Wait until the other's own moving picture stands in the tile with the other's name."""
        seen: set[int] = set()

        async def moving() -> bool:
            for tile in await self.tiles():
                if tile.name == other.name and not tile.screen and tile.picture and tile.picture.number == other.number:
                    seen.add(tile.picture.counter)
            return len(seen) > 1

        await until(moving, within=within, what=f"{self.name} sees {other.name} move")

    async def sees_number(self, number: int, *, within: float = 15) -> None:
        """Wait until the moving picture with this number stands in any tile."""
        seen: set[int] = set()

        async def moving() -> bool:
            counter = (await self.pictures()).get(number)
            if counter is not None:
                seen.add(counter)
            return len(seen) > 1

        await until(moving, within=within, what=f"{self.name} sees picture {number} move")

    async def hears(self, other: "Person", *, within: float = 15) -> None:
        """Wait until one of the received audio tracks carries the other's tone."""
        expected = frequency_of(other.number)
        await until(
            self.tones,
            lambda tones: any(abs(tone - expected) < 20 for tone in tones),
            within=within,
            what=f"{self.name} hears {expected} Hz of {other.name}",
        )

    async def tones(self) -> list[float]:
        """Hertz of the loudest tone on each received audio track that carries one now."""
        tones: list[float] = await self._evaluate("parleyTest.tones()")
        return tones

    async def offers(self) -> int:
        """How many SDP offers the page has made so far."""
        count: int = await self._evaluate("parleyTest.offers.length")
        return count

    async def follow(self, other: "Person") -> None:
        """Begin to watch the other's picture for freezes."""
        await self._evaluate(f"parleyTest.follow({other.number})")

    async def followed(self, other: "Person") -> Followed:
        """What was seen of the other since `follow`."""
        seen = await self._evaluate(f"parleyTest.followed({other.number})")
        return Followed(changes=seen["changes"], longest_freeze=seen["freeze"] / 1000)

    async def watch(self, other: "Person") -> float:
        """Begin to note each new frame of the other's picture; for `steadiness`."""
        began: float = await self._evaluate(f"parleyTest.watch({other.number})")
        return began

    async def steadiness(self, other: "Person", began: float) -> Steadiness:
        """How the other's picture moved since `watch`, which ends."""
        seen = await self._evaluate(f"parleyTest.steadiness({other.number}, {began})")
        return Steadiness(
            seconds=seen["elapsed"] / 1000,
            frames=seen["frames"],
            freezes=seen["freezes"],
            frozen_share=seen["frozen"] / seen["elapsed"],
            unfilmed_share=seen["unfilmed"] / seen["elapsed"],
            longest_freeze=seen["longest"] / 1000,
        )

    async def inbound(self) -> dict[str, float]:
        """Sums over what the page receives: samples, concealed, packets, lost, nacks, pictures, bytes, frozen (s)."""
        sums: dict[str, float] = await self._evaluate("parleyTest.inbound()")
        return sums

    async def height(self) -> int:
        """Lines of the largest picture of somebody else."""
        lines: int = await self._evaluate("parleyTest.height()")
        return lines

    async def encoding(self) -> set[str]:
        """RTP stream ids of the encodings of which frames are encoded, within a second."""
        before: dict[str, int] = await self._evaluate("parleyTest.encoded()")
        await asyncio.sleep(1)
        now: dict[str, int] = await self._evaluate("parleyTest.encoded()")
        return {rid for rid, frames in now.items() if frames > before.get(rid, 0)}

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
        await self.page.get_by_label("Passcode").fill(passcode)
        await self.press("Continue")

    async def tab_to(self, name: str) -> None:
        """Move the focus by the Tab key until it is on the control of this name."""
        focused = """() => { const at = document.activeElement;
          return at && (at.ariaLabel || at.labels?.[0]?.innerText || at.innerText || '').trim(); }"""
        for _ in range(_MAX_TABS):
            if await self._evaluate(focused) == name:
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

    async def _evaluate(self, expression: str) -> Any:  # noqa: ANN401 - whatever the page answers
        return await self.page.evaluate(expression)


def passcode_of(link: str) -> str:
    """Passcode in a link's fragment."""
    return unquote(link.partition("#")[2])
