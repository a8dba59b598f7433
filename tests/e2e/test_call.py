"""A call as people have it: two see and hear each other, a third comes, shares a screen and leaves."""

import pytest

from tests.e2e.conftest import Invite
from tests.support.browser import Person
from tests.support.fleet import Fleet
from tests.support.media import SLIDES_NUMBER
from tests.support.waiting import until


@pytest.fixture
def url(fleet: Fleet) -> str:
    return fleet.url


async def _two(invite: Invite, url: str) -> tuple[Person, Person, str]:
    ann, bob = await invite(1, name="Ann"), await invite(2, name="Bob")
    link = await ann.start_meeting(url)
    await bob.join(link)
    await ann.sees(bob)
    await bob.sees(ann)
    return ann, bob, link


async def test_two_people_see_and_hear_each_other_and_a_third_disturbs_nobody(invite: Invite, url: str) -> None:
    ann, bob, link = await _two(invite, url)
    await ann.hears(bob)
    await bob.hears(ann)
    offers = await ann.offers(), await bob.offers()

    cleo = await invite(3, name="Cleo")
    await cleo.join(link)
    for viewer in (ann, bob):
        await viewer.sees(cleo)
        await viewer.hears(cleo)
    await cleo.sees(ann)
    await cleo.sees(bob)

    await cleo.open_slides()
    await cleo.press("Share screen")
    for viewer in (ann, bob):
        await viewer.sees_number(SLIDES_NUMBER)
        await viewer.sees(cleo)

    await cleo.press("Leave")
    for viewer in (ann, bob):
        await until(viewer.names, lambda names: names == {"Ann", "Bob"}, what=f"{viewer.name} sees Cleo go")
        assert SLIDES_NUMBER not in await viewer.pictures()
    await ann.sees(bob)
    await bob.sees(ann)
    assert (await ann.offers(), await bob.offers()) == offers


async def test_mute_and_camera_reach_the_other(invite: Invite, url: str) -> None:
    ann, bob, _ = await _two(invite, url)
    await ann.hears(bob)

    await bob.press("Mute")
    await until(ann.tones, lambda tones: not tones, what="Bob is silent")
    await bob.press("Unmute")
    await ann.hears(bob)

    await bob.press("Stop video")
    await until(
        ann.tiles,
        lambda tiles: any(tile.name == "Bob" and not tile.video for tile in tiles),
        what="Bob's tile without a picture",
    )
    await bob.press("Start video")
    await ann.sees(bob)


async def test_a_reaction_is_shown_to_the_other(invite: Invite, url: str) -> None:
    ann, bob, _ = await _two(invite, url)
    await bob.react("\U0001f44f")
    await ann.sees_text("\U0001f44f")


async def test_leaving_and_coming_back(invite: Invite, url: str) -> None:
    ann, bob, _ = await _two(invite, url)
    await bob.press("Leave")
    await until(ann.names, lambda names: names == {"Ann"}, what="Bob is gone")
    await bob.press("Come back in")
    await bob.enter()
    await ann.sees(bob)
    await bob.sees(ann)


async def test_the_host_ends_the_meeting_for_everyone(invite: Invite, url: str) -> None:
    ann, bob, link = await _two(invite, url)
    await ann.end_for_everyone()
    await bob.sees_text("meeting (is over|has ended|was ended)")
    await bob.page.goto(link)
    await bob.sees_text("meeting is over")


async def test_closing_the_window_is_leaving(invite: Invite, url: str) -> None:
    ann, bob, _ = await _two(invite, url)
    await bob.page.close()
    await until(ann.names, lambda names: names == {"Ann"}, what="Bob is gone")
