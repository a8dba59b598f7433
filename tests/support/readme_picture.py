"""Takes the README's picture: `python -m tests.support.readme_picture docs/images/meeting.png`.

Starts the product in a folder of its own, puts drawn people with cameras of their own into one meeting, and photographs
what the first of them sees.
"""

import argparse
import asyncio
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av
from playwright.async_api import Browser, Page, ViewportSize, async_playwright

from tests.support.browser import CHROMIUM
from tests.support.fleet import Fleet
from tests.support.waiting import until

_WIDTH, _HEIGHT, _RATE, _FRAMES = 640, 360, 10, 20
_WINDOW: Final[ViewportSize] = {"width": 1280, "height": 800}
_PAINTED_SECONDS: Final = 60.0
_SETTLE_SECONDS: Final = 6.0
"""For the layers to reach the size of the tiles."""


@dataclass(frozen=True, slots=True)
class _Sitter:
    """Somebody drawn: colours of the room, the shirt, skin and hair, and a turn of the movement."""

    name: str
    room: tuple[str, str]
    shirt: str
    skin: str
    hair: str
    long_hair: bool
    turn: float


_SITTERS: Final = (
    _Sitter("Amara", ("#4a7fa5", "#22395e"), "#e8745a", "#8d5524", "#1c1c1c", long_hair=True, turn=0.0),
    _Sitter("Jonas", ("#2fae8f", "#1d4249"), "#f3d170", "#f2c9a1", "#6b3a1e", long_hair=False, turn=0.3),
    _Sitter("Mei", ("#a58bb8", "#4b4a78"), "#f0a58a", "#f0cfa6", "#16120e", long_hair=True, turn=0.6),
    _Sitter("Luis", ("#d9a05b", "#6d3f2a"), "#33658a", "#c68642", "#2b1d14", long_hair=False, turn=0.9),
)

_SPEAKER: Final = "Mei"
"""Whose microphone is on: Chromium's own beeps."""


def _drawing(who: _Sitter, frame: int) -> str:
    sway = math.sin(2 * math.pi * (frame / _FRAMES + who.turn))
    nod = math.cos(2 * math.pi * (frame / _FRAMES + who.turn))
    behind = f'<path d="M246 150q0-78 74-78t74 78v96q-74 40-148 0z" fill="{who.hair}"/>' if who.long_hair else ""
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 360" width="{_WIDTH}" height="{_HEIGHT}">
      <defs><linearGradient id="room" x1="0" y1="0" x2="1" y2="1">
        <stop stop-color="{who.room[0]}"/><stop offset="1" stop-color="{who.room[1]}"/></linearGradient></defs>
      <rect width="640" height="360" fill="url(#room)"/>
      <rect x="36" y="44" width="132" height="96" rx="6" fill="#fff" opacity=".16"/>
      <rect x="478" y="64" width="120" height="10" fill="#000" opacity=".22"/>
      <rect x="492" y="28" width="16" height="36" fill="#fff" opacity=".3"/>
      <rect x="512" y="22" width="14" height="42" fill="#000" opacity=".28"/>
      <rect x="530" y="32" width="18" height="32" fill="#fff" opacity=".2"/>
      <g transform="translate({sway * 5:.1f} {nod * 2:.1f})">{behind}
        <path d="M150 360q16-112 130-120h80q114 8 130 120z" fill="{who.shirt}"/>
        <rect x="292" y="206" width="56" height="52" rx="22" fill="{who.skin}"/>
        <ellipse cx="320" cy="158" rx="64" ry="78" fill="{who.skin}"/>
        <path d="M254 150q-4-86 66-86t66 86q-16-44-66-46-50 2-66 46z" fill="{who.hair}"/>
        <ellipse cx="296" cy="156" rx="5.5" ry="6.5" fill="#1b1b1b"/>
        <ellipse cx="344" cy="156" rx="5.5" ry="6.5" fill="#1b1b1b"/>
        <path d="M296 194q24 {20 + nod * 3:.1f} 48 0" fill="none" stroke="#7a2e2e" stroke-width="4.5"
          stroke-linecap="round"/></g></svg>"""


async def _write_camera(page: Page, who: _Sitter, path: Path) -> None:
    """Draw somebody and write a second or two of it as a YUV4MPEG2 file, for Chromium to loop."""
    await page.set_viewport_size({"width": _WIDTH, "height": _HEIGHT})
    header = f"YUV4MPEG2 W{_WIDTH} H{_HEIGHT} F{_RATE}:1 Ip A1:1 C420mpeg2\n".encode()
    frames = [header]
    for number in range(_FRAMES):
        await page.set_content(f"<body style='margin:0;overflow:hidden'>{_drawing(who, number)}</body>")
        still = path.with_suffix(".png")
        await page.screenshot(path=still)
        frames.append(b"FRAME\n" + _planar(still))
    await asyncio.to_thread(path.write_bytes, b"".join(frames))


def _planar(still: Path) -> bytes:
    with av.open(str(still)) as container:
        frame: Any = next(container.decode(video=0))
    raw = frame.reformat(width=_WIDTH, height=_HEIGHT, format="yuv420p").planes
    rows = (bytes(plane)[row * plane.line_size :][: plane.width] for plane in raw for row in range(plane.height))
    return b"".join(rows)


async def _sit_down(browser: Browser, who: _Sitter, link: str) -> Page:
    context = await browser.new_context(permissions=["camera", "microphone"], viewport=_WINDOW, reduced_motion="reduce")
    page = await context.new_page()
    await page.goto(link)
    if "/j/" not in link:
        await page.get_by_role("button", name="New meeting", exact=True).click()
    await page.get_by_label("Your name").fill(who.name)
    await page.get_by_role("button", name="Join now", exact=True).click()
    await page.get_by_role("button", name="Leave", exact=True).wait_for()
    if who.name != _SPEAKER:
        await page.get_by_role("button", name="Mute", exact=True).click()
    return page


async def _painted(page: Page) -> bool:
    """Whether every tile shows a picture of its own that is sharp enough."""
    script = """() => [...document.querySelectorAll('[data-testid=tile]')].filter((tile) => {
      const video = tile.querySelector('video'); return video && video.videoHeight >= 180; }).length"""
    shown: int = await page.evaluate(script)
    return shown == len(_SITTERS)


async def _take(url: str, folder: Path, picture: Path) -> None:
    async with async_playwright() as playwright:
        plain = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        drawing = await plain.new_page()
        pages: list[Page] = []
        for who in _SITTERS:
            camera = folder / f"{who.name}.y4m"
            await _write_camera(drawing, who, camera)
            browser = await playwright.chromium.launch(
                executable_path=CHROMIUM,
                args=[
                    "--no-sandbox",
                    "--disable-gpu",
                    "--allow-loopback-in-peer-connection",
                    "--use-fake-device-for-media-stream",
                    f"--use-file-for-fake-video-capture={camera}",
                ],
            )
            page = await _sit_down(browser, who, pages[0].url if pages else url)
            pages.append(page)
        first = pages[0]
        await first.bring_to_front()
        await until(lambda: _painted(first), within=_PAINTED_SECONDS, what="everybody's picture")
        await asyncio.sleep(_SETTLE_SECONDS)
        # The bar shows while somebody moves.
        await first.mouse.move(640, 400)
        await first.mouse.move(660, 420)
        await asyncio.sleep(0.5)
        await first.screenshot(path=picture)


async def main() -> None:
    """Start the product, take the picture, stop it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    picture: Path = parser.parse_args().picture
    with tempfile.TemporaryDirectory(prefix="parley-picture-") as folder:
        fleet = Fleet(Path(folder) / "data")
        fleet.folder.mkdir()
        await fleet.start()
        try:
            await _take(fleet.url, Path(folder), picture)
        finally:
            await fleet.stop()


if __name__ == "__main__":
    asyncio.run(main())
