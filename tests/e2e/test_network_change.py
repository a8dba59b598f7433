"""A device that comes into another network looks for a new way and keeps its session: one offer and no gap."""

import asyncio
from typing import Final

import pytest

from tests.support.browser import Person
from tests.support.call import Call
from tests.support.waiting import until

_WATCH_SECONDS: Final = 4.0
_NOTICE_SECONDS: Final = 8.0
_STEADY_SECONDS: Final = 1.0
"""No picture may stand still for longer: the old way carries media until the new one does."""

_CONNECTIONS: Final = "parleyTest.connections.filter(({ connectionState }) => connectionState !== 'closed').length"
_UFRAG: Final = "parleyTest.connections.at(-1).currentLocalDescription.sdp.match(/a=ice-ufrag:(.*)/)[1]"
pytestmark = pytest.mark.timeout(120)


async def test_another_network_keeps_the_session(call: Call) -> None:
    ann, bob = call.ann, call.bob
    offers, connections = await ann.offers(), await ann.page.evaluate(_CONNECTIONS)
    before = await _ufrag(ann)
    await ann.follow(bob)
    await bob.follow(ann)

    await ann.page.evaluate("dispatchEvent(new Event('online'))")

    await until(lambda: _ufrag(ann), lambda ufrag: ufrag != before, what="a new way is agreed on")
    await asyncio.sleep(_WATCH_SECONDS)
    assert await ann.offers() == offers + 1
    assert await ann.page.evaluate(_CONNECTIONS) == connections
    for viewer, other in ((ann, bob), (bob, ann)):
        seen = await viewer.followed(other)
        assert seen.longest_freeze < _STEADY_SECONDS, f"{viewer.name} saw {other.name} freeze: {seen}"
    await ann.hears(bob)
    await bob.hears(ann)


async def test_flt_9_whoever_is_heard_and_seen_is_not_told_to_be_offline(call: Call) -> None:
    """The browser believes to be offline and no call gets through, but media does."""
    bob = call.bob
    banner = bob.page.get_by_test_id("connection-state")
    async with call.steady():
        await bob.context.set_offline(offline=True)
        await bob.sees_text("You still hear and see each other", within=_NOTICE_SECONDS)
        await asyncio.sleep(_WATCH_SECONDS)
        assert "You still hear" in await banner.inner_text()
    await bob.context.set_offline(offline=False)
    await until(banner.count, lambda count: count == 0, what="the notice goes away")


async def _ufrag(person: Person) -> str:
    """The ICE user name fragment that is in use."""
    ufrag: str = await person.page.evaluate(_UFRAG)
    return ufrag
