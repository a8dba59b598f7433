"""Parts die during a call: media goes on, state comes back, and nobody clicks anything."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable

import grpc
import pytest
import pytest_asyncio

from parley.identity.v1 import identity_service_pb2 as identity
from tests.e2e.conftest import Invite
from tests.support.browser import Person
from tests.support.call import Call
from tests.support.fleet import Fleet, FleetPart
from tests.support.observer import Observer
from tests.support.transports import Grpc, method
from tests.support.waiting import call_of, until

_OUTAGE_SECONDS = float(os.environ.get("PARLEY_TEST_OUTAGE_SECONDS", "20"))
_BACK_SECONDS = 30.0
_FRAMES = 20

pytestmark = pytest.mark.timeout(240)


@pytest_asyncio.fixture(loop_scope="session")
async def observer(call: Call, fleet: Fleet) -> AsyncIterator[Observer]:
    observer = Observer(fleet.authority)
    await observer.join(call.meeting, call.passcode)
    yield observer
    await observer.close()


async def test_the_control_plane_is_killed(call: Call, observer: Observer, fleet: Fleet) -> None:
    await observer.react("\U0001f44d")
    async with call.steady():
        fleet.control_plane.kill()
        sending = asyncio.create_task(observer.react("\U0001f44f"))
        await call.bob.press("Mute")
        # Media without a control plane: two seconds of it, going by the other's own frames.
        await until(lambda: call.ann.followed(call.bob), lambda seen: seen.changes > _FRAMES)
        await fleet.control_plane.start()
        await sending
        await until(call_of(observer.muted, "Bob"), within=_BACK_SECONDS, what="Bob's mute reached the others")
        await observer.react("\U0001f389")
        await call.ann.react("\U0001f44d")
        expected = ["\U0001f44d", "\U0001f44f", "\U0001f389", "\U0001f44d"]
        await until(call_of(observer.reactions), lambda seen: len(seen) >= len(expected), within=_BACK_SECONDS)
    assert observer.reactions() == expected
    await call.bob.press("Unmute")
    await until(call_of(observer.muted, "Bob"), lambda muted: muted is False)
    await call.ann.hears(call.bob)


async def test_the_live_store_is_down(call: Call, invite: Invite, fleet: Fleet) -> None:
    await _outage(call, invite, fleet, fleet.redis, "STORE_UNAVAILABLE")


async def test_the_database_is_down(call: Call, invite: Invite, fleet: Fleet) -> None:
    await _outage(call, invite, fleet, fleet.postgres, "STORE_UNAVAILABLE")


async def test_the_gateway_is_down(call: Call, invite: Invite, fleet: Fleet) -> None:
    await _outage(call, invite, fleet, fleet.envoy, None)


async def test_the_node_is_killed(call: Call, fleet: Fleet, report: Callable[[str], None]) -> None:
    began = time.monotonic()
    fleet.node.kill()
    await fleet.node.start()
    await asyncio.gather(
        call.ann.sees(call.bob, within=_BACK_SECONDS),
        call.bob.sees(call.ann, within=_BACK_SECONDS),
    )
    await call.ann.hears(call.bob)
    report(f"everyone was back {time.monotonic() - began:.1f} s after the node was killed")


@pytest.mark.parametrize(
    ("number", "cause"), [(signal.SIGUSR1, "panicked"), (signal.SIGUSR2, "stalled")], ids=["panic", "hang"]
)
async def test_a_shard_fails(
    call: Call, fleet: Fleet, report: Callable[[str], None], number: signal.Signals, cause: str
) -> None:
    """FLT-5: the thread that forwards the call panics, or hangs. It is replaced, and the node itself goes on."""
    node, failures = fleet.node.pid, fleet.log("node").count(f"cause={cause}")
    before = [await person.connected() for person in (call.ann, call.bob)]
    began = time.monotonic()
    fleet.node.signal(number)
    seconds = await asyncio.gather(
        *(
            _back(viewer, other, connection, began)
            for (viewer, other), connection in zip(((call.ann, call.bob), (call.bob, call.ann)), before, strict=True)
        )
    )
    assert (fleet.node.pid, fleet.log("node").count(f"cause={cause}")) == (node, failures + 1)
    report(f"pictures and sound were back {max(seconds):.2f} s after {number.name}")


async def _back(viewer: Person, other: Person, connection: int, began: float) -> float:
    """Wait until a newer connection brings picture and sound; the seconds since `began`."""
    await until(viewer.connected, lambda now: now > connection, within=_BACK_SECONDS, what="a new connection")
    await asyncio.gather(viewer.sees(other, within=_BACK_SECONDS), viewer.hears(other, within=_BACK_SECONDS))
    return time.monotonic() - began


async def _outage(call: Call, invite: Invite, fleet: Fleet, part: FleetPart, reason: str | None) -> None:
    """Hold a part down: the call goes on, a newcomer is told to wait and comes in by itself afterwards."""
    cleo = await invite(3, name="Cleo")
    await cleo.page.goto(call.link)
    await cleo.page.get_by_label("Your name").fill(cleo.name)
    await cleo.button("Join now").wait_for()
    async with call.steady():
        part.kill()
        until_time = time.monotonic() + _OUTAGE_SECONDS
        await cleo.press("Join now")
        await _refused(call, fleet, reason)
        await asyncio.sleep(max(0.0, until_time - time.monotonic()))
        await part.start()
        await cleo.button("Leave").wait_for(timeout=_BACK_SECONDS * 1000)
        await call.ann.sees(cleo, within=_BACK_SECONDS)
        await cleo.sees(call.bob, within=_BACK_SECONDS)
    await call.bob.react("\U0001f44f")
    await call.ann.sees_text("\U0001f44f", within=_BACK_SECONDS)


async def _refused(call: Call, fleet: Fleet, reason: str | None) -> None:
    api = Grpc(fleet.authority)
    request = identity.CreateGuestSessionRequest(meeting=call.meeting, passcode=call.passcode)
    outcome = await api.call(method("IdentityService.CreateGuestSession"), request)
    await api.close()
    assert outcome.code is grpc.StatusCode.UNAVAILABLE, outcome
    if reason is not None:
        assert outcome.reason == reason, outcome
        assert outcome.retry_after, outcome
