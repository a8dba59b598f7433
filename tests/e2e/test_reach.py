"""People whose network lets little through: over TCP, through a relay, over IPv6, and with a network that changes."""

import json
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright

from tests.e2e.conftest import Invite
from tests.support import networks, reach
from tests.support.browser import Person, Studio
from tests.support.fleet import Fleet
from tests.support.networks import Behind
from tests.support.reach import comes_by
from tests.support.turn import TurnServer

_CUT_SECONDS = 20.0
"""Chromium gives up a way that has been silent for some seconds, and looks for another."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def turn(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TurnServer]:
    server = TurnServer(tmp_path_factory.mktemp("turn"))
    await server.start()
    yield server
    server.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def reachable(tmp_path_factory: pytest.TempPathFactory, turn: TurnServer) -> AsyncIterator[Fleet]:
    """A product with addresses of both families, a TCP port and a relay."""
    settings = {
        "PARLEY_MEDIA_BIND_ADDRESS": "::",
        "PARLEY_MEDIA_ADDRESSES": '["127.0.0.1", "::1"]',
        "PARLEY_TURN_URIS": json.dumps([turn.uri]),
        "PARLEY_TURN_SECRET": turn.secret,
    }
    fleet = Fleet(tmp_path_factory.mktemp("reach"), settings)
    await fleet.start()
    yield fleet
    await fleet.stop()


@pytest.fixture(name="dead_port")
def _dead_port() -> Iterator[int]:
    with reach.dead_port() as port:
        yield port


async def _limit(person: Person, mode: str, dead_port: int = 9) -> None:
    """Let the person's window reach the node in one way only."""
    await person.context.add_init_script(reach.limited(mode, dead_port))


async def _call(invite: Invite, fleet: Fleet, mode: str, dead_port: int = 9) -> tuple[Person, Person]:
    """Ann, who can reach the node in one way only, comes to Bob, who has no trouble; both see the other move."""
    ann, bob = await invite(1, name="Ann"), await invite(2, name="Bob")
    await _limit(ann, mode, dead_port)
    link = await bob.start_meeting(fleet.url)
    await ann.join(link)
    await ann.sees(bob, within=30)
    await bob.sees(ann, within=30)
    return ann, bob


def _sessions(fleet: Fleet) -> tuple[int, int]:
    """How many sessions the node has opened, and how many restarts of ICE it has seen."""
    log = fleet.log("node")
    return log.count("session.opened"), log.count("session.ice_restarted")


async def test_without_udp_a_browser_comes_by_tcp(
    invite: Invite, reachable: Fleet, dead_port: int, record_property: Callable[[str, object], None]
) -> None:
    ann, bob = await _call(invite, reachable, "tcp", dead_port)
    # A browser's end of a connection has the port that the kernel gave it, which it learns by the check's answer.
    way = await comes_by(ann, "tcp", kind="prflx")
    assert way.connections == 1
    assert way.milliseconds is not None
    record_property("milliseconds from the answer to media over TCP", way.milliseconds)
    print(f"over TCP: {way.milliseconds:.0f} ms from the answer to a connection")  # noqa: T201 - a figure of the run
    assert way.milliseconds < 3_000
    await ann.hears(bob)
    await bob.hears(ann)


async def test_without_any_direct_way_a_browser_comes_by_a_relay_and_its_session_moves_along(
    invite: Invite, reachable: Fleet, turn: TurnServer, dead_port: int
) -> None:
    opened, restarted = _sessions(reachable)
    ann, bob = await _call(invite, reachable, "relay", dead_port)
    await comes_by(ann, "udp", kind="relay")
    assert _sessions(reachable) == (opened + 2, restarted + 1)
    await ann.hears(bob)

    # Ann walks out of that network into one that blocks nothing.
    await ann.page.evaluate("parleyReach.mode = 'any'")
    await ann.page.evaluate("dispatchEvent(new Event('online'))")
    way = await comes_by(ann, "udp", kind="host")
    assert way.connections == 1
    await ann.sees(bob)
    await bob.sees(ann)
    await bob.hears(ann)
    assert _sessions(reachable) == (opened + 2, restarted + 2)

    logs = [reachable.log(part) for part in ("control-plane", "node", "envoy")]
    assert not any(turn.secret in log for log in logs)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def behind(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Behind]:
    """A network behind a router that can drop UDP."""
    if not networks.available():
        pytest.skip("making networks takes root")
    behind = Behind(tmp_path_factory.mktemp("behind"))
    try:
        behind.make()
        yield behind
    finally:
        behind.remove()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def routed(tmp_path_factory: pytest.TempPathFactory, behind: Behind) -> AsyncIterator[Fleet]:
    """A product whose media node is reached through that router, by UDP and TCP."""
    settings = {"PARLEY_MEDIA_BIND_ADDRESS": "0.0.0.0", "PARLEY_MEDIA_ADDRESSES": json.dumps([behind.node])}
    fleet = Fleet(tmp_path_factory.mktemp("routed"), settings)
    await fleet.start()
    await behind.offer(fleet.port)
    yield fleet
    await fleet.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def outside(behind: Behind) -> AsyncIterator[Person]:
    """Ann, whose browser is behind the router."""
    async with async_playwright() as playwright:
        studio = Studio(playwright, behind.folder, program=str(behind.browser()))
        ann = await studio.person(1, name="Ann")
        await _limit(ann, "any")
        yield ann
        await studio.close()


async def test_udp_is_cut_off_in_the_middle_of_a_call(
    invite: Invite, routed: Fleet, behind: Behind, outside: Person, record_property: Callable[[str, object], None]
) -> None:
    ann, bob = outside, await invite(2, name="Bob")
    await ann.join(await bob.start_meeting(routed.url))
    await ann.sees(bob, within=30)
    await bob.sees(ann, within=30)
    await comes_by(ann, "udp", within=_CUT_SECONDS)
    opened, _ = _sessions(routed)
    await ann.follow(bob)
    await bob.follow(ann)

    behind.drop_udp()
    try:
        way = await comes_by(ann, "tcp", within=_CUT_SECONDS)
        await ann.sees(bob, within=30)
        await bob.sees(ann, within=30)
        await ann.hears(bob)
        await bob.hears(ann)
    finally:
        behind.pass_udp()
    seen = await bob.followed(ann)
    record_property("seconds that Ann's picture stood still", seen.longest_freeze)
    print(f"UDP cut: Ann's picture stood still for {seen.longest_freeze:.1f} s")  # noqa: T201 - a figure of the run
    assert seen.longest_freeze < _CUT_SECONDS
    # The same connection and the same session, so nobody has left or come back.
    assert way.connections == 1
    assert _sessions(routed)[0] == opened


async def test_where_udp_vanishes_from_the_start_a_browser_comes_by_tcp(
    invite: Invite, routed: Fleet, behind: Behind, outside: Person
) -> None:
    ann, bob = outside, await invite(2, name="Bob")
    link = await bob.start_meeting(routed.url)
    behind.drop_udp()
    try:
        await ann.join(link)
        await ann.sees(bob, within=30)
        await bob.sees(ann, within=30)
        way = await comes_by(ann, "tcp", within=_CUT_SECONDS)
        assert way.connections == 1
        await ann.hears(bob)
        await bob.hears(ann)
    finally:
        behind.pass_udp()
    print(f"UDP dropped: {way.milliseconds:.0f} ms from the answer to a connection")  # noqa: T201 - a figure of the run


async def test_a_browser_comes_by_ipv6(invite: Invite, reachable: Fleet) -> None:
    ann, _ = await _call(invite, reachable, "ipv6")
    way = await comes_by(ann, "udp", kind="host")
    assert way.address in {"::1", "[::1]"}
