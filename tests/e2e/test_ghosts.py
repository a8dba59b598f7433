"""FLT-8: a browser that is killed leaves no ghost behind, and one that only stood still is as it was."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from parley.meeting.v1 import participant_pb2
from parley.signaling.v1 import event_pb2
from tests.e2e.conftest import Invite
from tests.support.browser import Studio
from tests.support.call import Call
from tests.support.fleet import Fleet
from tests.support.observer import Observer
from tests.support.waiting import until

_PRESENCE_SECONDS = 60.0
"""When everybody is missed who does not call; who is gone sooner was missed since their media is silent, too."""

pytestmark = pytest.mark.timeout(180)


@pytest_asyncio.fixture(loop_scope="session")
async def observer(call: Call, fleet: Fleet) -> AsyncIterator[Observer]:
    observer = Observer(fleet.authority)
    await observer.join(call.meeting, call.passcode)
    yield observer
    await observer.close()


def states(observer: Observer, participant: str) -> list[str]:
    """What was told of somebody, in order."""
    told = []
    for event in observer.events:
        updated = event.participant_updated.participant
        if event.WhichOneof("kind") == "participant_updated" and updated.name == participant:
            told.append(participant_pb2.ParticipantState.Name(updated.state).removeprefix("PARTICIPANT_STATE_"))
        if event.WhichOneof("kind") == "participant_left" and event.participant_left.participant == participant:
            told.append(event_pb2.LeaveReason.Name(event.participant_left.reason).removeprefix("LEAVE_REASON_"))
    return told


async def name_of(call: Call) -> str:
    """Resource name of Bob, whom Ann sees."""
    (tile,) = [tile for tile in await call.ann.tiles() if tile.name == call.bob.name]
    return f"{call.meeting}/participants/{tile.participant}"


async def test_a_killed_browser_is_out_before_long_and_its_user_is_there_once(
    call: Call, observer: Observer, studio: Studio, invite: Invite, report: Callable[[str], None]
) -> None:
    ghost = await name_of(call)
    killed = time.time()
    await studio.kill(call.bob.number)
    again = await invite(call.bob.number, name=call.bob.name)
    await again.join(call.link)
    await again.sees(call.ann)

    async def told() -> list[str]:
        return states(observer, ghost)

    await until(told, lambda seen: "PRESENCE_EXPIRED" in seen, within=_PRESENCE_SECONDS / 2, what="the ghost is out")
    assert states(observer, ghost) == ["RECONNECTING", "PRESENCE_EXPIRED"], "others were warned before"
    left = next(event for event in observer.events if event.participant_left.participant == ghost)
    report(f"the ghost was out {left.time.ToNanoseconds() / 1e9 - killed:.2f} s after the kill")

    async def entries() -> list[str]:
        return sorted(tile.name for tile in await call.ann.tiles() if not tile.screen)

    await until(entries, lambda names: names.count(again.name) == 1, what="one entry for one person")
    await call.ann.sees(again)
    await call.ann.hears(again)


async def test_a_browser_that_stood_still_for_a_while_goes_on_as_it_was(
    call: Call, observer: Observer, studio: Studio
) -> None:
    bob = await name_of(call)
    offers = await call.bob.offers()
    processes = await studio.processes(call.bob.number)

    async def told() -> list[str]:
        return states(observer, bob)

    try:
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        await until(told, lambda seen: seen == ["RECONNECTING"], what="his silence is noticed")
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)
    await until(told, lambda seen: seen == ["RECONNECTING", "CONNECTED"], what="so is his return")
    await asyncio.gather(call.ann.sees(call.bob), call.bob.sees(call.ann))
    await call.ann.hears(call.bob)
    assert await call.bob.offers() == offers, "nothing had to be negotiated anew"
