"""On a way that loses: sound is asked for and repeated, and a voice waits for its picture, in real Chromium."""

import asyncio
import re
from typing import Final

import pytest

from tests.e2e.conftest import Invite
from tests.support.browser import Person
from tests.support.fleet import Fleet
from tests.support.impairment import Impairment, Network
from tests.support.waiting import until

_LOSSY: Final = Impairment(loss=0.1, delay=0.050)
_WAIT_MS: Final = 100
"""With a round trip of 100 ms no repair is sooner."""
_LEARN_SECONDS: Final = 40.0
"""Browsers report once a second, and buffers grow by and by."""
_REPEATED: Final = 2.0
"""Packets that repeat six frames are larger than those that repeat one by so much at least."""
_SOUND: Final = """async () => {
  const sums = { target: 0, bytes: 0, packets: 0, again: 0 };
  for (const connection of parleyTest.connections.filter((one) => one.connectionState === 'connected')) {
    for (const receiver of connection.getReceivers()) {
      sums.target = Math.max(sums.target, receiver.jitterBufferTarget ?? 0);
    }
    for (const report of (await connection.getStats()).values()) {
      if (report.kind !== 'audio') continue;
      sums.bytes += report.bytesReceived ?? 0;
      sums.packets += report.packetsReceived ?? 0;
      sums.again += report.retransmittedPacketsSent ?? 0;
    }
  }
  return sums;
}"""
pytestmark = pytest.mark.timeout(150)


async def test_sound_on_a_lossy_way_is_repeated_and_waits_for_its_picture(invite: Invite, fleet: Fleet) -> None:
    network = Network(seed=5)
    try:
        ann, bob = await invite(1, name="Ann"), await invite(2, name="Bob", network=network)
        await bob.join(await ann.start_meeting(fleet.url))
        await ann.sees(bob)
        await bob.sees(ann)
        usual = await _packet_size(bob)
        assert (await _sound(ann))["target"] == 0, "on a good way nothing waits"

        network.impair(up=_LOSSY, down=_LOSSY)

        for viewer in (ann, bob):
            waits = f"{viewer.name} lets the voice wait"
            await until(
                lambda: _sound(viewer),  # noqa: B023 - awaited before the next one
                lambda sound: sound["target"] >= _WAIT_MS,
                within=_LEARN_SECONDS,
                what=waits,
            )
        await until(lambda: _sound(bob), lambda sound: sound["again"] > 0, what="Bob repeats lost sound")
        large = _REPEATED * usual
        await until(lambda: _packet_size(bob), lambda size: size > large, what=f"Bob is told more than {large} bytes")
        await bob.hears(ann)
        await ann.hears(bob)
        await _reads_that_pictures_are_late(bob)
    finally:
        network.close()


async def _reads_that_pictures_are_late(person: Person) -> None:
    await person.press("More")
    await person.page.get_by_role("menuitem", name="Connection details").click()
    details = person.page.get_by_role("complementary", name="Connection details")
    await details.get_by_text(re.compile(r"It is shown 0\.[1-8] s late")).first.wait_for()
    await details.get_by_text("sound is sent several times").wait_for()


async def _packet_size(person: Person) -> float:
    """Mean bytes of a packet of sound that comes within a second."""
    before = await _sound(person)
    await asyncio.sleep(1)
    after = await _sound(person)
    return (after["bytes"] - before["bytes"]) / max(1, after["packets"] - before["packets"])


async def _sound(person: Person) -> dict[str, float]:
    sums: dict[str, float] = await person.page.evaluate(_SOUND)
    return sums
