"""A large meeting, as `parley bench crowd` makes it: everybody is told everything, once and in order."""

from collections.abc import Mapping
from typing import Any

import pytest

from parley_cli.bench.crowd.driver import open_crowd
from tests.support.fleet import Fleet
from tests.support.waiting import until

PEOPLE = 150
EVENTS = 12


@pytest.mark.timeout(420)
async def test_each_of_150_people_is_told_everything_once_and_in_order(fleet: Fleet) -> None:
    async with open_crowd(fleet.authority, PEOPLE, processes=2) as crowd:
        await crowd.join(joins_per_second=50, within=120)
        sent = []
        for number in range(EVENTS):
            person = number * PEOPLE // EVENTS
            event = await (crowd.react(person, "👏") if number % 2 else crowd.unmute(person))
            sent.append(event["key"])

        def is_whole(found: Mapping[str, Any]) -> bool:
            return found["whole"] == found["present"] == PEOPLE and not found["unconnected"] and found["heard"] == sent

        found = await until(crowd.check, is_whole, within=180, what="all watchers know everything")

    # The host's media, and join and media of all others.
    assert found["events"] >= 1 + 2 * (PEOPLE - 1) + EVENTS
    assert found["faults"] == []
