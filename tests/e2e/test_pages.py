"""Every way that a join can go wrong has a page in words; the client works by keyboard and on a narrow phone."""

import re

import pytest

from tests.e2e.conftest import Invite
from tests.support.browser import passcode_of
from tests.support.fleet import Fleet
from tests.support.waiting import until

_PHONE = (360, 640)


@pytest.fixture
def url(fleet: Fleet) -> str:
    return fleet.url


def _without_passcode(link: str) -> str:
    return link.split("#", maxsplit=1)[0]


async def test_a_wrong_passcode_is_told_and_can_be_corrected(invite: Invite, url: str) -> None:
    ann, bob = await invite(1, name="Ann"), await invite(2, name="Bob")
    link = await ann.start_meeting(url)
    passcode = passcode_of(link)
    await bob.page.goto(f"{_without_passcode(link)}#wrong")
    await bob.sees_text("passcode is not right")
    await bob.give_passcode(passcode)
    await bob.enter()
    await ann.sees(bob)


async def test_an_unknown_meeting_has_a_page(invite: Invite, url: str) -> None:
    bob = await invite(2, name="Bob")
    await bob.page.goto(f"{url}/j/10000000000#123456")
    await bob.sees_text("no meeting with this number")


async def test_a_number_that_is_none_has_a_page(invite: Invite, url: str) -> None:
    bob = await invite(2, name="Bob")
    await bob.page.goto(f"{url}/j/12")
    await bob.sees_text("no meeting with this number|11 digits")


async def test_an_unknown_address_has_a_page(invite: Invite, url: str) -> None:
    bob = await invite(2, name="Bob")
    await bob.page.goto(f"{url}/nowhere")
    await bob.sees_text("nothing (here|at this address)")


async def test_refused_permission_says_what_to_do_and_lets_one_in_anyway(invite: Invite, url: str) -> None:
    ann = await invite(1, name="Ann")
    link = await ann.start_meeting(url)
    bob = await invite(2, name="Bob", permissions=())
    await bob.page.goto(link)
    await bob.sees_text("permission|allow|blocked|access")
    await bob.enter()
    await until(ann.names, lambda names: names == {"Ann", "Bob"}, what="Ann sees Bob's tile")
    await bob.sees(ann)


async def test_joining_by_number_and_passcode_from_the_home_page(invite: Invite, url: str) -> None:
    ann, bob = await invite(1, name="Ann"), await invite(2, name="Bob")
    link = await ann.start_meeting(url)
    passcode = passcode_of(link)
    number = re.search(r"/j/(\d{11})", link)
    assert number
    await bob.page.goto(url)
    await bob.page.get_by_label(re.compile("link|number|meeting id", re.IGNORECASE)).first.fill(number[1])
    await bob.press("Join")
    await bob.give_passcode(passcode)
    await bob.enter()
    await ann.sees(bob)


async def test_link_1_a_pasted_link_brings_its_passcode_without_the_punctuation_around_it(
    invite: Invite, url: str
) -> None:
    ann, bob = await invite(1, name="Ann"), await invite(2, name="Bob")
    link = await ann.start_meeting(url)
    await bob.page.goto(url)
    await bob.page.get_by_label("Link or meeting number").fill(f"Join me: <{link.replace('#', '/#')}>.")
    await bob.press("Join")
    await bob.button("Join now").wait_for()
    await bob.page.goto("about:blank")
    await bob.page.goto(f"{link}>,")
    await bob.button("Join now").wait_for()


async def test_a_whole_visit_by_keyboard(invite: Invite, url: str) -> None:
    ann = await invite(1, name="Ann")
    await ann.page.goto(url)
    await ann.tab_to("New meeting")
    await ann.page.keyboard.press("Enter")
    await ann.page.get_by_label("Your name").wait_for()
    await ann.tab_to("Your name")
    await ann.page.keyboard.type("Ann")
    await ann.tab_to("Join now")
    await ann.page.keyboard.press("Enter")
    await ann.button("Leave").wait_for()
    await ann.tab_to("Mute")
    await ann.page.keyboard.press("Space")
    await ann.button("Unmute").wait_for()
    await ann.tab_to("Leave")


async def test_everything_fits_a_phone_of_360_pixels(invite: Invite, url: str) -> None:
    ann, bob = await invite(1, name="Ann", viewport=_PHONE), await invite(2, name="Bob")

    async def fits() -> None:
        assert await ann.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    await ann.page.goto(url)
    await ann.button("New meeting").wait_for()
    await fits()
    link = await ann.start_meeting(url)
    await fits()
    for name in ("Mute", "Stop video", "Leave"):
        box = await ann.button(name).bounding_box()
        assert box is not None, name
        assert box["x"] >= 0, name
        assert box["x"] + box["width"] <= _PHONE[0], name
        assert min(box["width"], box["height"]) >= 44, name
    await bob.join(link)
    await ann.sees(bob)
    await fits()


async def test_buttons_and_fields_have_names_for_screen_readers(invite: Invite, url: str) -> None:
    ann = await invite(1, name="Ann")
    unnamed = """[...document.querySelectorAll('button, input, select, a[href]')].filter((element) =>
      element.checkVisibility() && !(element.getAttribute('aria-label') || element.getAttribute('aria-labelledby')
        || element.innerText?.trim() || element.labels?.length || element.title)).map((element) => element.outerHTML)"""
    await ann.page.goto(url)
    await ann.button("New meeting").wait_for()
    assert await ann.page.evaluate(unnamed) == []
    await ann.press("New meeting")
    await ann.button("Join now").wait_for()
    assert await ann.page.evaluate(unnamed) == []
    await ann.enter()
    assert await ann.page.evaluate(unnamed) == []
