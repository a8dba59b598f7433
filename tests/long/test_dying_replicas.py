"""What takes minutes: `make test-long`."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from parley_cli.bench.crowd.driver import Crowd, open_crowd
from parley_cli.bench.product import NO_LIMITS
from parley_cli.up.data_folder import read_instance
from tests.support.fleet import Fleet
from tests.support.waiting import until

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

PEOPLE = 60
PROCESSES = ("control-plane", "control-plane-2")
KILLS = 12
PAUSE = 10.0
EVENTS_OF_A_PAUSE = 4


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Fleet]:
    fleet = Fleet(tmp_path, {**NO_LIMITS, "PARLEY_CONTROL_PLANE_PROCESSES": "2"})
    await fleet.start()
    yield fleet
    await fleet.stop()


async def test_replicas_that_die_in_turn_cost_no_watcher_an_event(own: Fleet) -> None:
    """One of two is killed every 10 s for two minutes: all watchers end with one log, none lost and none twice."""
    async with open_crowd(own.authority, PEOPLE, processes=1) as crowd:
        await crowd.join(joins_per_second=20, within=60)
        answered: list[str] = []
        for number in range(KILLS):
            kill(own, PROCESSES[number % len(PROCESSES)])
            for place in range(EVENTS_OF_A_PAUSE):
                await asyncio.sleep(PAUSE / EVENTS_OF_A_PAUSE)
                answered += await event(crowd, number * EVENTS_OF_A_PAUSE + place)

        def is_whole(found: Mapping[str, Any]) -> bool:
            all_the_same = found["whole"] == found["watchers"] == found["present"] == PEOPLE
            return bool(all_the_same and set(answered) <= set(found["heard"]))

        found = await until(
            crowd.check, is_whole, within=120, what="all watchers know the same, all that was answered in it"
        )
        reference = await crowd.reference()

    assert [own.output.count(f"! {part} ") for part in PROCESSES] == [KILLS / 2, KILLS / 2], "each was back in time"
    assert found["faults"] == []
    assert len(set(reference["events"])) == len(reference["events"]), "nothing twice"
    assert len(answered) > KILLS, "most actions are answered although processes die"
    assert [key for key in found["heard"] if key in answered] == answered, "what was answered is told, in this order"


def kill(fleet: Fleet, part: str) -> None:
    """Ends a process as a crash would; the supervisor starts it again."""
    instance = read_instance(fleet.folder)
    assert instance
    os.kill(instance["parts"][part], signal.SIGKILL)


async def event(crowd: Crowd, number: int) -> list[str]:
    """Somebody does something, each person once; returns its key if it was answered."""
    before = await failures(crowd)
    sent = await (crowd.react(number, "👏") if number % 2 else crowd.unmute(number))
    return [sent["key"]] if await failures(crowd) == before else []


async def failures(crowd: Crowd) -> int:
    """How many actions were not answered so far."""
    return sum(
        count
        for record in await crowd.records()
        for call, count in record["failures"].items()
        if call.startswith(("SendReaction", "UpdateTracks"))
    )
