"""What the measurements in browsers call a freeze."""

from collections.abc import Sequence

from playwright.async_api import async_playwright

from tests.support.browser import CHROMIUM
from tests.support.media import PROBE_SCRIPT

_STAGE = """
let now = 0, presented = 0, counter = 0, timestamp = 4294960000, frame;
performance.now = () => now;
window.addEventListener('DOMContentLoaded', () => {
  document.body.innerHTML = '<div data-testid="tile"><video></video></div><canvas width="640" height="360"></canvas>';
  const [video, picture] = [document.querySelector('video'), document.querySelector('canvas')];
  Object.defineProperty(video, 'videoWidth', { value: 640 });
  Object.defineProperty(video, 'readyState', { value: 4 });
  video.requestVideoFrameCallback = (call) => { frame = call; };
  const { drawImage } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.drawImage = function (image, ...rest) {
    return drawImage.call(this, image === video ? picture : image, ...rest);
  };
  window.show = (milliseconds, frames, filmed = frames, made = milliseconds) => {
    now += milliseconds;
    timestamp += 90 * made;
    presented += frames;
    counter += filmed;
    parleyTest.paint(picture, 7, counter % 256);
    if (frames) frame(now, { presentationTime: now, presentedFrames: presented, rtpTimestamp: timestamp % 2 ** 32 });
  };
  show(0, 0);
});
"""


async def _steadiness(shown: Sequence[tuple[int, ...]]) -> dict[str, float]:
    """Of a tile, step by step.

    Args:
        shown: Milliseconds; frames presented in them, of which the page saw the last; how many the camera made, and the
            milliseconds between the first and the last of them, where that is not the same.
    """
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.add_init_script(PROBE_SCRIPT)
        await page.add_init_script(_STAGE)
        await page.goto("about:blank")
        found: dict[str, float] = await page.evaluate(
            """(shown) => {
              parleyTest.watch(7);
              for (const step of shown) show(...step);
              return parleyTest.steadiness(7, 0);
            }""",
            list(shown),
        )
        await browser.close()
    return found


async def test_a_picture_that_stands_still_is_frozen() -> None:
    found = await _steadiness([(50, 1)] * 20 + [(400, 1, 8)] + [(50, 1)] * 20)

    assert found["freezes"] == 1
    assert found["frozen"] == found["longest"] == 400
    assert found["unfilmed"] == 0
    assert (found["frames"], found["elapsed"], found["usual"]) == (41, 2400, 50)


async def test_a_camera_that_stands_still_is_told_apart() -> None:
    found = await _steadiness([(50, 1)] * 20 + [(400, 1)] + [(50, 1)] * 20 + [(300, 1, 6), (50, 1), (350, 1, 1, 50)])

    assert (found["freezes"], found["frozen"], found["unfilmed"]) == (3, 1_050, 400)


async def test_a_page_that_was_busy_while_the_picture_moved_is_no_freeze() -> None:
    found = await _steadiness([(50, 1)] * 20 + [(400, 8)] + [(50, 1)] * 20)

    assert (found["freezes"], found["frozen"], found["longest"]) == (0, 0, 0)
    assert (found["frames"], found["elapsed"]) == (48, 2400)


async def test_a_picture_that_stops_is_frozen_until_the_end() -> None:
    found = await _steadiness([(50, 1)] * 20 + [(1_000, 0)])

    assert (found["freezes"], found["frozen"]) == (1, 1_000)
