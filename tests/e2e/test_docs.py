"""The documentation that the product serves: it reads, searches and draws under the product's own policy."""

import httpx
import pytest
from playwright.async_api import expect

from tests.e2e.conftest import Invite
from tests.support.browser import Person
from tests.support.fleet import Fleet
from tests.support.waiting import until

_PHONE = (360, 740)


@pytest.fixture
def docs(fleet: Fleet) -> str:
    return f"{fleet.url}/docs/"


async def test_pages_come_through_the_gateway_under_the_policy_of_the_client(fleet: Fleet, docs: str) -> None:
    async with httpx.AsyncClient(base_url=fleet.url) as client:
        page = await client.get(docs)
        client_page = await client.get("/")

    assert page.status_code == httpx.codes.OK
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"] == client_page.headers["content-security-policy"]
    assert "script-src 'self'" in page.headers["content-security-policy"]


async def test_a_reader_comes_from_the_home_page_and_searches(invite: Invite, fleet: Fleet) -> None:
    reader = await invite(1, name="Ann")
    await reader.page.goto(fleet.url)
    await reader.page.get_by_role("link", name="Help and documentation").click()
    await expect(reader.page).to_have_title("Start - Parley")

    search = reader.page.get_by_role("combobox")

    async def opened() -> bool:
        # The page takes keys once its scripts have run, and says nothing of when that is.
        if not await search.is_visible():
            await reader.page.keyboard.press("Control+k")
        return await search.is_visible()

    await until(opened, what="the search opens")
    await search.fill("retransmission")

    await reader.sees_text("results")
    _is_quiet(reader)


async def test_diagrams_are_drawn_on_a_dark_narrow_phone(invite: Invite, docs: str) -> None:
    reader = await invite(1, name="Ann", viewport=_PHONE)
    await reader.page.emulate_media(color_scheme="dark")
    await reader.page.goto(f"{docs}architecture/")
    # The theme puts the drawing into a closed shadow root, which leaves its size to be seen.
    await expect(reader.page.locator("div.mermaid")).to_be_visible()

    width = await reader.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0, "nothing is wider than the phone"
    assert await reader.evaluate("document.querySelector('div.mermaid').getBoundingClientRect().height") > 50
    assert await reader.evaluate("document.body.dataset.mdColorScheme") == "slate"
    _is_quiet(reader)


def _is_quiet(reader: Person) -> None:
    assert not [line for line in reader.console if not line.startswith(("log:", "info:", "debug:"))], reader.console
