"""Many tabs of one browser: by HTTP/1.1 they share six connections to an origin, and a stream occupies one."""

import asyncio
from typing import Final

from playwright.async_api import Response

from tests.e2e.conftest import Invite
from tests.support.browser import Person
from tests.support.fleet import Fleet
from tests.support.waiting import call_of, until

_TABS: Final = 7
_BEAT_SECONDS: Final = 25
"""Within which every tab's next heartbeat is answered: the interval is 10 s."""


async def test_h1_tabs_seven_tabs_stay_in_their_meeting(invite: Invite, fleet: Fleet) -> None:
    first = await invite(1, name="Tab 0")
    await first.context.add_init_script(
        "localStorage.setItem('parley.devices', JSON.stringify({ cameraOn: false, microphoneOn: false }))"
    )
    link = await first.start_meeting(fleet.url)
    tabs = [first]
    for number in range(1, _TABS):
        page = await first.context.new_page()
        tab = Person(number=1, name=f"Tab {number}", context=first.context, page=page)
        await tab.join(link)
        tabs.append(tab)
    names = {tab.name for tab in tabs}
    beats: set[str] = set()

    def follow(tab: Person) -> None:
        def note(response: Response) -> None:
            if response.url.endswith("/Heartbeat") and response.ok:
                beats.add(tab.name)

        tab.page.on("response", note)

    for tab in tabs:
        follow(tab)
        await until(tab.names, lambda seen: seen == names, what=f"{tab.name} sees everyone")
    before = [await _participants(tab) for tab in tabs]
    await until(call_of(beats.copy), lambda seen: seen == names, within=_BEAT_SECONDS, what="all beat")
    # What one does reaches all of them, and nobody was dropped meanwhile.
    await asyncio.gather(*(tab.react("\U0001f44d") for tab in tabs[::3]))
    for tab in tabs:
        await until(tab.page.get_by_role("img", name="reacts").count, what=f"{tab.name} sees a reaction")
    assert [await _participants(tab) for tab in tabs] == before


async def _participants(tab: Person) -> set[str]:
    return {tile.participant for tile in await tab.tiles()}
