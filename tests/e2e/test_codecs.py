"""Who can't decode what a sender prefers still sees a picture: the sender changes its codec, and goes back later."""

import json
from typing import Final

import pytest

from tests.e2e.conftest import Invite
from tests.support.browser import Person
from tests.support.fleet import Fleet
from tests.support.waiting import until

_FIRST_SECONDS: Final = 20.0
_BACK_SECONDS: Final = 30.0
"""Far more than the three seconds after which a sender goes back: two browsers and a fleet share the machine."""

_KNOWS_ONLY: Final = """(name) => {
  const wanted = [`video/${name}`, 'video/rtx'].map((each) => each.toLowerCase());
  for (const side of [RTCRtpReceiver, RTCRtpSender]) {
    const all = side.getCapabilities.bind(side);
    side.getCapabilities = (kind) => {
      const found = all(kind);
      if (kind !== 'video' || !found) return found;
      return { ...found, codecs: found.codecs.filter(({ mimeType }) => wanted.includes(mimeType.toLowerCase())) };
    };
  }
}"""
"""Lets a page know one video codec only: others are in no offer of it, so that nothing in them can be decoded."""

_VIDEO: Final = """async (type) => {
  const names = new Set();
  for (const connection of parleyTest.connections) {
    if (connection.connectionState !== 'connected') continue;
    const all = await connection.getStats();
    for (const stats of all.values()) {
      if (stats.type !== type || stats.kind !== 'video') continue;
      if (type === 'outbound-rtp' && (!stats.active || !stats.framesEncoded)) continue;
      if (type === 'inbound-rtp' && !stats.framesDecoded) continue;
      if (stats.codecId) names.add(all.get(stats.codecId).mimeType.split('/')[1]);
    }
  }
  return [...names].sort();
}"""

pytestmark = pytest.mark.timeout(240)


async def _knows_only(person: Person, codec: str) -> Person:
    await person.context.add_init_script(f"({_KNOWS_ONLY})({json.dumps(codec)})")
    return person


async def _sent(person: Person) -> list[str]:
    """Codecs of the pictures that the person's page sends."""
    names: list[str] = await person.page.evaluate(f"({_VIDEO})('outbound-rtp')")
    return names


async def _sends(person: Person, codec: str) -> None:
    """Wait until all that it sends is in this codec."""
    what = f"{person.name} sends {codec}"
    await until(lambda: _sent(person), lambda names: names == [codec], within=_BACK_SECONDS, what=what)


async def _received(person: Person) -> list[str]:
    """Codecs of the pictures that it has decoded."""
    names: list[str] = await person.page.evaluate(f"({_VIDEO})('inbound-rtp')")
    return names


@pytest.mark.parametrize("codec", ["H264", "VP9", "AV1"])
async def test_a_viewer_who_lacks_the_preferred_codec_sees_a_picture(invite: Invite, fleet: Fleet, codec: str) -> None:
    """The sender is asked for what both know; when the viewer has gone, it sends what it prefers again."""
    ann, bob = await invite(1, name="Ann"), await invite(2, name="Bob")
    link = await ann.start_meeting(fleet.url)
    await bob.join(link)
    await bob.sees(ann)
    await _sends(ann, "VP8")

    cleo = await _knows_only(await invite(3, name="Cleo"), codec)
    await cleo.join(link)
    await cleo.sees(ann, within=_FIRST_SECONDS)
    await cleo.sees(bob, within=_FIRST_SECONDS)
    assert await _received(cleo) == [codec]
    for sender in (ann, bob):
        await _sends(sender, codec)
        await sender.sees(cleo)
    await ann.sees(bob)
    await bob.sees(ann)

    await cleo.press("Leave")
    for sender in (ann, bob):
        await _sends(sender, "VP8")
    await ann.sees(bob)
    await bob.sees(ann)


async def test_where_no_codec_is_common_the_details_say_why_there_is_no_picture(invite: Invite, fleet: Fleet) -> None:
    """Nothing that can be decoded exists: sound goes on, and who looks for the reason finds it."""
    ann = await _knows_only(await invite(1, name="Ann"), "VP8")
    bob = await _knows_only(await invite(2, name="Bob"), "H264")
    await bob.join(await ann.start_meeting(fleet.url))
    await bob.hears(ann)
    await ann.hears(bob)

    for viewer, other in ((ann, bob), (bob, ann)):
        await viewer.press("More")
        await viewer.page.get_by_role("menuitem", name="Connection details").click()
        details = viewer.page.get_by_role("complementary", name="Connection details")
        picture = details.locator("[data-reason=codec]").filter(has_text=other.name)
        await picture.get_by_text("your browser can't decode what its sender sends").wait_for()
        assert other.number not in await viewer.pictures()
        assert await _received(viewer) == []
        assert await _sent(viewer) == ["VP8" if viewer is ann else "H264"]
        tile = viewer.page.locator(f'[data-testid=tile][data-name="{other.name}"]')
        await tile.get_by_text(other.name[0], exact=True).wait_for()
