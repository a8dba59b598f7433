"""Firefox in both roles on a plain `parley up`, with Chromium and with itself."""

from typing import Final

import pytest

from tests.e2e.conftest import Invite, InviteWithFirefox
from tests.support import reach
from tests.support.fleet import Fleet
from tests.support.media import SLIDES_NUMBER
from tests.support.participant import Participant
from tests.support.waiting import until

_CAMERA: Final = 720
"""Lines of the camera in Firefox, of which it sends three encodings: of 180, 360 and 720."""
_STEADY_SECONDS: Final = 2.0
_BACK_SECONDS: Final = 30.0
_UFRAG: Final = "parleyTest.connections.at(-1).currentLocalDescription.sdp.match(/a=ice-ufrag:(.*)/)[1]"
_OPEN: Final = "parleyTest.connections.filter(({ connectionState }) => connectionState !== 'closed').length"

pytestmark = pytest.mark.timeout(240)


async def _meet(one: Participant, other: Participant) -> None:
    for viewer, seen in ((one, other), (other, one)):
        await viewer.sees(seen, within=_BACK_SECONDS)
        await viewer.hears(seen)


async def test_firefox_and_chromium_see_hear_and_share_a_screen(
    invite: Invite, invite_with_firefox: InviteWithFirefox, fleet: Fleet
) -> None:
    ann, bob = await invite_with_firefox(1, name="Ann"), await invite(2, name="Bob")
    link = await ann.start_meeting(fleet.url)
    await bob.join(link)
    await _meet(ann, bob)

    # Three encodings leave Firefox; who has room gets the one of the size of the tile, and the others end.
    await bob.press("Speaker layout")
    await until(bob.height, lambda height: height == _CAMERA, within=_BACK_SECONDS, what="Ann's largest")
    await bob.press("Gallery layout")
    await until(bob.height, lambda height: 0 < height < _CAMERA, what="a smaller one in a smaller tile")
    await until(ann.encoding, lambda rids: rids and "f" not in rids, what="Ann stops her largest")

    await bob.open_slides()
    await bob.press("Share screen")
    await ann.sees_number(SLIDES_NUMBER)
    await bob.press("Stop sharing")
    await until(ann.pictures, lambda seen: SLIDES_NUMBER not in seen, what="Bob's screen goes")

    await ann.open_slides()
    await ann.press("Share screen")
    await bob.sees_number(SLIDES_NUMBER)
    await bob.sees(ann)


async def test_two_in_firefox_see_hear_and_share_a_screen(invite_with_firefox: InviteWithFirefox, fleet: Fleet) -> None:
    ann, bob = await invite_with_firefox(1, name="Ann"), await invite_with_firefox(2, name="Bob")
    await bob.join(await ann.start_meeting(fleet.url))
    await _meet(ann, bob)
    await ann.open_slides()
    await ann.press("Share screen")
    await bob.sees_number(SLIDES_NUMBER)
    await bob.sees(ann)


async def test_firefox_comes_through_another_network_and_another_node(
    invite: Invite, invite_with_firefox: InviteWithFirefox, fleet: Fleet
) -> None:
    ann, bob = await invite_with_firefox(1, name="Ann"), await invite(2, name="Bob")
    await ann.join(await bob.start_meeting(fleet.url))
    await _meet(ann, bob)
    before, connections = await ann.evaluate(_UFRAG), await ann.evaluate(_OPEN)
    await bob.follow(ann)
    await ann.evaluate("void dispatchEvent(new Event('online'))")
    await until(lambda: ann.evaluate(_UFRAG), lambda ufrag: ufrag != before, what="a new way is agreed on")
    await _meet(ann, bob)
    assert await ann.evaluate(_OPEN) == connections, "the same connection, so the same session"
    assert (await bob.followed(ann)).longest_freeze < _STEADY_SECONDS

    await fleet.node.crash()
    await _meet(ann, bob)


async def test_firefox_comes_by_tcp_where_udp_goes_nowhere(
    invite: Invite, invite_with_firefox: InviteWithFirefox, fleet: Fleet
) -> None:
    with reach.dead_port() as dead:
        ann = await invite_with_firefox(1, name="Ann", script=reach.limited("tcp", dead))
        bob = await invite(2, name="Bob")
        await ann.join(await bob.start_meeting(fleet.url))
        await _meet(ann, bob)
        assert (await reach.comes_by(ann, "tcp")).connections == 1
