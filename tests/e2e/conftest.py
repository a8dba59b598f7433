"""The browsers of the end-to-end tests: they live as long as the session, windows as long as a test."""

import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright

from tests.support.browser import Person, Studio, passcode_of
from tests.support.call import Call
from tests.support.firefox import Firefox, FirefoxPerson
from tests.support.fleet import Fleet

Invite = Callable[..., Awaitable[Person]]
"""Opens a window for a participant number; takes what `Studio.person` takes."""

InviteWithFirefox = Callable[..., Awaitable[FirefoxPerson]]
"""The same in Firefox; takes what `Firefox.person` takes."""

_RESULTS = Path(__file__).parents[2] / "test-results"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether the test failed, for the fixture that keeps evidence."""
    report = yield
    if report.when == "call":
        item.stash[_FAILED] = report.failed
    return report


_FAILED = pytest.StashKey[bool]()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def studio() -> AsyncIterator[Studio]:
    with tempfile.TemporaryDirectory(prefix="parley-media-") as folder:
        async with async_playwright() as playwright:
            studio = Studio(playwright, Path(folder))
            yield studio
            await studio.close()


@pytest_asyncio.fixture(loop_scope="session")
async def invite(studio: Studio, request: pytest.FixtureRequest) -> AsyncIterator[Invite]:
    yield studio.person
    await studio.clear(_evidence(request))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def firefox() -> AsyncIterator[Firefox]:
    with tempfile.TemporaryDirectory(prefix="parley-firefox-", ignore_cleanup_errors=True) as folder:
        firefox = Firefox(Path(folder))
        try:
            await firefox.start()
            yield firefox
        finally:
            await firefox.close()


@pytest_asyncio.fixture(loop_scope="session")
async def invite_with_firefox(firefox: Firefox, request: pytest.FixtureRequest) -> AsyncIterator[InviteWithFirefox]:
    yield firefox.person
    await firefox.clear(_evidence(request))


def _evidence(request: pytest.FixtureRequest) -> Path | None:
    """Folder for what the windows showed, if the test has failed."""
    if not request.node.stash.get(_FAILED, False):
        return None
    evidence = _RESULTS / re.sub(r"[^\w-]+", "-", request.node.nodeid)
    evidence.mkdir(parents=True, exist_ok=True)
    return evidence


@pytest_asyncio.fixture(loop_scope="session")
async def call(invite: Invite, fleet: Fleet) -> Call:
    ann, bob = await invite(1, name="Ann"), await invite(2, name="Bob")
    link = await ann.start_meeting(fleet.url)
    passcode = passcode_of(link)
    await bob.join(link)
    await ann.sees(bob)
    await bob.sees(ann)
    return Call(ann, bob, link, passcode)


@pytest.fixture
def report(request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Says something on the terminal although the test passes."""
    terminal: Any = request.config.pluginmanager.get_plugin("terminalreporter")

    def say(text: str) -> None:
        with capfd.disabled():
            terminal.write_line(f"\n{text}")

    return say
