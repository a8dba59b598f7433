"""Two people in a call, and a watch over how steadily they see each other."""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from tests.support.browser import Person

_STEADY_SECONDS: Final = 2.0
"""No picture may stand still for longer, whatever happens to parts that media does not need."""


class Call:
    """Two people who see each other, and the meeting they are in."""

    def __init__(self, ann: Person, bob: Person, link: str, passcode: str) -> None:
        self.ann, self.bob, self.link, self.passcode = ann, bob, link, passcode
        number = re.search(r"/j/(\d{11})", link)
        assert number
        self.meeting = f"meetings/{number[1]}"

    @asynccontextmanager
    async def steady(self) -> AsyncIterator[None]:
        """Assert that inside this block both pictures went on and nobody made an offer."""
        offers = [await person.offers() for person in (self.ann, self.bob)]
        await self.ann.follow(self.bob)
        await self.bob.follow(self.ann)
        began = time.monotonic()
        yield
        elapsed = time.monotonic() - began
        for viewer, other in ((self.ann, self.bob), (self.bob, self.ann)):
            seen = await viewer.followed(other)
            assert seen.longest_freeze < _STEADY_SECONDS, f"{viewer.name} saw {other.name} freeze: {seen}"
            assert seen.changes > elapsed, f"{viewer.name} saw {other.name} move too seldom: {seen}"
        assert [await person.offers() for person in (self.ann, self.bob)] == offers
