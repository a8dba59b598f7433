"""The browsers of the end-to-end tests: they live as long as the session, windows as long as a test."""

import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright

from tests.support.browser import Person, Studio

Invite = Callable[..., Awaitable[Person]]
"""Opens a window for a participant number; takes what `Studio.person` takes."""

_RESULTS = Path(__file__).parents[2] / "test-results"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[Any]:
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
    evidence = None
    if request.node.stash.get(_FAILED, False):
        evidence = _RESULTS / re.sub(r"[^\w-]+", "-", request.node.nodeid)
        evidence.mkdir(parents=True, exist_ok=True)
    await studio.clear(evidence)
