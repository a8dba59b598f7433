"""W3: a part of the client that can't be loaded, or has a fault, costs nobody the call."""

import pytest
from playwright.async_api import Page, Route

from tests.e2e.conftest import Invite
from tests.support.browser import Person
from tests.support.call import Call
from tests.support.fleet import Fleet


async def _open_connection_details(person: Person) -> None:
    await person.press("More")
    await person.page.get_by_role("menuitem", name="Connection details").click()


async def _without(page: Page, part: str, *, times: int | None = None) -> list[str]:
    """Keep a part's file from being loaded; how it was asked for is noted."""
    asked: list[str] = []

    async def refuse(route: Route) -> None:
        asked.append(route.request.resource_type)
        if len(asked) % 2:
            await route.abort()
        else:
            await route.fulfill(status=404, body="gone")

    await page.route(f"**/assets/{part}-*.js", refuse, times=times)
    return asked


async def test_a_panel_that_cannot_be_loaded_leaves_the_call(call: Call) -> None:
    ann = call.ann
    asked = await _without(ann.page, "connection_panel")
    async with call.steady():
        await _open_connection_details(ann)
        await ann.sees_text("couldn't be loaded. Your call goes on")
        # Fetched, not imported: some browsers never try a failed import again.
        assert asked == ["fetch", "fetch"]
        await ann.page.unroute_all()
        await ann.press("Try again")
        await ann.page.get_by_role("heading", name="Connection details").wait_for()
        await ann.sees_text("What reaches you")


async def test_a_panel_that_fails_once_comes_by_itself(call: Call) -> None:
    asked = await _without(call.ann.page, "connection_panel", times=1)
    await _open_connection_details(call.ann)
    await call.ann.sees_text("What reaches you")
    assert asked == ["fetch"]


async def test_a_panel_with_a_fault_leaves_the_call(call: Call) -> None:
    ann = call.ann
    broken = "export default () => { throw new Error('a fault of the test'); };"
    await ann.page.route(
        "**/assets/connection_panel-*.js",
        lambda route: route.fulfill(body=broken, content_type="text/javascript"),
    )
    async with call.steady():
        await _open_connection_details(ann)
        await ann.sees_text("stopped working. Your call goes on")
        await ann.page.keyboard.press("Escape")


async def test_a_meeting_that_cannot_be_loaded_is_not_entered(call: Call, invite: Invite) -> None:
    cleo = await invite(3, name="Cleo")
    asked = await _without(cleo.page, "room")
    await cleo.page.goto(call.link)
    await cleo.page.get_by_label("Your name").fill(cleo.name)
    await cleo.press("Join now")
    await cleo.sees_text("couldn't be loaded")
    assert set(asked) == {"fetch"}
    assert await call.ann.names() == {"Ann", "Bob"}
    await cleo.page.unroute_all()
    await cleo.press("Join now")
    await call.ann.sees(cleo)


@pytest.mark.parametrize(("part", "path"), [("sign", "/sign-in"), ("meeting_route", "/j/12345678901")])
async def test_a_page_that_cannot_be_loaded_says_what_to_do(invite: Invite, fleet: Fleet, part: str, path: str) -> None:
    ann = await invite(1, name="Ann")
    asked = await _without(ann.page, part)
    await ann.page.goto(fleet.url + path)
    await ann.sees_text("couldn't be loaded")
    assert asked == ["fetch", "fetch"]
    await ann.page.unroute_all()
    await ann.press("Reload the page")
    await ann.page.get_by_role("textbox").or_(ann.page.get_by_text("no meeting with this number")).first.wait_for()
