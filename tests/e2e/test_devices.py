"""What the buttons say of camera, microphone and screen is what is open and sent, in whatever order things happen."""

import asyncio
import json
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.conftest import Invite
from tests.support.browser import Person
from tests.support.call import Call
from tests.support.fleet import Fleet
from tests.support.waiting import until

_WATCH_DEVICES = """(() => {
  const given = [], held = [];
  const watch = (name) => {
    const native = navigator.mediaDevices[name].bind(navigator.mediaDevices);
    navigator.mediaDevices[name] = async (constraints) => {
      if (devices.hold) await new Promise((go) => held.push(go));
      const stream = await native(constraints);
      given.push(...stream.getTracks());
      return stream;
    };
  };
  const devices = window.devicesTest = {
    hold: false,
    held: () => held.length,
    release: () => { devices.hold = false; held.splice(0).forEach((go) => go()); },
    live: (kind) => given.filter((track) => track.kind === kind && track.readyState === 'live').length,
    unplug: (kind) => given.filter((track) => track.kind === kind && track.readyState === 'live').forEach((track) => {
      track.stop(); track.dispatchEvent(new Event('ended'));
    }),
    sent: async (kind) => {
      let bytes = 0;
      for (const connection of parleyTest.connections) if (connection.connectionState === 'connected')
        for (const report of (await connection.getStats()).values())
          if (report.type === 'outbound-rtp' && report.kind === kind) bytes += report.bytesSent;
      return bytes;
    },
  };
  watch('getUserMedia');
  watch('getDisplayMedia');
})();"""
"""Lets a test hold the browser's answers back, and keeps all that it gave."""


class Devices:
    """What a page has open, beside what its buttons say."""

    def __init__(self, person: Person) -> None:
        self.person = person

    async def live(self, kind: str) -> int:
        """How many tracks of a kind are open."""
        count: int = await self._evaluate(f"devicesTest.live({json.dumps(kind)})")
        return count

    async def hold(self) -> None:
        """Keep the browser from answering."""
        await self._evaluate("devicesTest.hold = true")

    async def release(self) -> None:
        """Let it answer everything."""
        await self._evaluate("devicesTest.release()")

    async def asked(self) -> int:
        """How many questions wait for an answer."""
        count: int = await self._evaluate("devicesTest.held()")
        return count

    async def unplug(self, kind: str) -> None:
        """End a kind's tracks as pulling the plug does."""
        await self._evaluate(f"devicesTest.unplug({json.dumps(kind)})")

    async def is_sending(self, kind: str) -> bool:
        """Whether any media of a kind leaves within a second."""
        before = await self._evaluate(f"devicesTest.sent({json.dumps(kind)})")
        await asyncio.sleep(1)
        return bool(await self._evaluate(f"devicesTest.sent({json.dumps(kind)})") > before)

    async def _evaluate(self, expression: str) -> Any:  # noqa: ANN401 - whatever the page answers
        return await self.person.page.evaluate(expression)


@pytest_asyncio.fixture(loop_scope="session")
async def bob(invite: Invite) -> Person:
    """Somebody whose devices are watched, not in a meeting yet."""
    bob = await invite(2, name="Bob")
    await bob.page.add_init_script(_WATCH_DEVICES)
    return bob


@pytest_asyncio.fixture(loop_scope="session")
async def call(invite: Invite, bob: Person, fleet: Fleet) -> Call:
    ann = await invite(1, name="Ann")
    link = await ann.start_meeting(fleet.url)
    await bob.join(link)
    await ann.sees(bob)
    return Call(ann, bob, link, "")


async def _shows_no_picture(viewer: Person, name: str) -> bool:
    return any(tile.name == name and not tile.video for tile in await viewer.tiles())


@pytest.mark.parametrize("presses", [2, 3])
async def test_w1_dev_5_a_camera_that_says_off_is_off(call: Call, presses: int) -> None:
    devices, bob = Devices(call.bob), call.bob
    await bob.press("Stop video")
    await devices.hold()
    for press in range(presses):
        await bob.page.keyboard.press("v")
        await bob.button("Start video" if press % 2 else "Stop video").wait_for()
    assert await devices.asked() == 1
    # What was on its way when the camera went off has left by now: whatever leaves from here on is the late camera's.
    await until(partial(devices.is_sending, "video"), lambda sends: not sends, what="Bob sends no picture")
    await devices.release()
    if presses % 2:
        # W2: on, off and on again is one camera, and off lets go of it.
        await call.ann.sees(bob)
        assert await devices.live("video") == 1
        await bob.press("Stop video")
    await until(partial(_shows_no_picture, call.ann, "Bob"), what="Ann sees no picture of Bob")
    # What the browser gave late is let go of, which takes a moment; it stays so.
    await until(partial(devices.live, "video"), lambda count: count == 0, what="Bob's camera is let go of")
    assert not await devices.is_sending("video")
    assert await devices.live("video") == 0


async def test_dev_7_what_arrives_after_leaving_is_stopped(call: Call) -> None:
    devices, bob = Devices(call.bob), call.bob
    await bob.press("Stop video")
    await devices.hold()
    await bob.press("Start video")
    await bob.press("Share screen")
    await until(devices.asked, lambda asked: asked == 2)
    await bob.press("Leave")
    await bob.sees_text("you left")
    await devices.release()
    for kind in ("audio", "video"):
        await until(partial(devices.live, kind), lambda live: live == 0, what=f"no {kind} is open")


async def test_w2_dev_10_try_again_opens_nothing_twice(invite: Invite, bob: Person, fleet: Fleet) -> None:
    ann = await invite(1, name="Ann")
    link = await ann.start_meeting(fleet.url)
    devices = Devices(bob)
    await bob.context.clear_permissions()
    await bob.context.grant_permissions(["microphone"])
    await bob.page.goto(link)
    await bob.sees_text("may not use your camera")
    # DEV-1c: the microphone is there all the same.
    assert await devices.live("audio") == 1
    for _ in range(2):
        await bob.press("Try again")
        await bob.sees_text("may not use your camera")
    await bob.context.grant_permissions(["camera", "microphone"])
    await bob.press("Try again")
    await until(partial(devices.live, "video"), lambda live: live == 1, what="the camera is open")
    assert await devices.live("audio") == 1
    await bob.enter()
    await asyncio.gather(ann.sees(bob), ann.hears(bob))


async def test_dev_4_a_device_that_is_lost_says_so_and_is_replaced(call: Call) -> None:
    devices, bob = Devices(call.bob), call.bob
    for kind, name in (("video", "camera"), ("audio", "microphone")):
        await devices.unplug(kind)
        await bob.sees_text(f"your {name} was disconnected")
        assert await devices.live(kind) == 1
        await bob.press("Got it")
    await asyncio.gather(call.ann.sees(bob), call.ann.hears(bob))


async def test_shr_2_sharing_twice_at_once_shares_once(call: Call) -> None:
    devices, bob = Devices(call.bob), call.bob
    await bob.press("Stop video")
    await bob.open_slides()
    await devices.hold()
    await bob.press("Share screen")
    await bob.press("Share screen")
    assert await devices.asked() == 1
    await devices.release()
    await bob.button("Stop sharing").wait_for()
    assert await devices.live("video") == 1
    await bob.press("Stop sharing")
    await bob.button("Share screen").wait_for()
    assert await devices.live("video") == 0
