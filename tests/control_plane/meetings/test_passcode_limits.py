"""PASS-1, PASS-2, PASS-3: limits count failures. Right answers cost nothing, however many come at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count
from typing import cast
from uuid import uuid4

import pytest
import pytest_asyncio

from control_plane.accounts.rules import Rules
from control_plane.kernel.errors import DomainError, ErrorKind, unauthenticated
from control_plane.meetings.directory import Directory
from control_plane.meetings.model import Meeting, changed
from control_plane.meetings.store import MeetingStore
from control_plane.platform.limits import Limit
from control_plane.platform.outbox import OutboxSignal
from control_plane.platform.redis.attempts import Attempts
from control_plane.platform.redis.client import RedisClient, connect
from tests.support.clock import FakeClock
from tests.support.live import MemoryDirectory

NAT = "198.51.100.7"
MINUTE = timedelta(minutes=1)


@pytest_asyncio.fixture
async def client(redis_url: str) -> AsyncIterator[RedisClient]:
    it = connect(redis_url)
    yield it
    await it.aclose()


class Door:
    """A meeting, replicas that compare passcodes for it, and the host."""

    def __init__(self, client: RedisClient, passcode: str = "123456") -> None:
        self.clock = FakeClock()
        self.meeting: Meeting = changed(MemoryDirectory().add(), self.clock.now(), passcode=passcode)
        self.told: list[int] = []
        self._directories = [self._directory(client) for _ in range(2)]
        self._turns = count()
        self._wrong = count()

    def _directory(self, client: RedisClient) -> Directory:
        return Directory(
            store=cast("MeetingStore", None),
            attempts=Attempts(client, self.clock),
            clock=self.clock,
            rules=Rules(),
            outbox=OutboxSignal(),
            tell_host=self.passcode_guessed,
        )

    async def passcode_guessed(self, meeting_id: str, failures: int) -> None:
        assert meeting_id == self.meeting.number
        self.told.append(failures)

    async def right(self, address: str = NAT) -> str:
        return await self.answer(self.meeting.passcode, address)

    async def wrong(self, address: str = NAT) -> str:
        return await self.answer(f"wrong-{next(self._wrong)}", address)

    async def answer(self, passcode: str, address: str = NAT) -> str:
        directory = self._directories[next(self._turns) % 2]
        try:
            await directory.check_passcode(self.meeting, passcode, address)
        except DomainError as error:
            return answer_of(error)
        return "in"

    async def search(self, tries: int) -> None:
        """Somebody with many machines tries passcodes, each machine once."""
        for number in range(tries):
            await self.wrong(f"192.0.{number // 250}.{number % 250}")


@pytest.fixture
async def door(client: RedisClient) -> Door:
    await client.flushdb()
    return Door(client)


async def test_everybody_at_one_address_who_knows_the_passcode_is_let_in_at_once_and_later(door: Door) -> None:
    """PASS-1: a class opens one link."""
    assert set(await asyncio.gather(*[door.right() for _ in range(30)])) == {"in"}
    assert await door.right() == "in"


async def test_a_link_that_lacks_its_passcode_costs_no_try(door: Door) -> None:
    """PASS-2: the page asks without one at each visit."""
    for _ in range(30):
        assert await door.answer("") == "PASSCODE_WRONG"
    assert await door.right() == "in"


async def test_many_wrong_ones_at_once_gain_nothing(door: Door) -> None:
    answers = await asyncio.gather(*[door.wrong() for _ in range(40)])
    assert answers.count("PASSCODE_WRONG") == 10
    assert answers.count("PASSCODE_ATTEMPTS_EXCEEDED") == 30


async def test_the_right_one_among_many_at_once_is_not_told_beyond_the_limit(door: Door) -> None:
    for _ in range(10):
        await door.wrong()
    assert await door.right() == "PASSCODE_ATTEMPTS_EXCEEDED"


async def test_an_address_that_is_shut_out_has_the_next_try_in_a_minute_and_a_half(door: Door) -> None:
    for _ in range(10):
        await door.wrong()
    door.clock.advance(1.5 * MINUTE)
    assert await door.right() == "in"
    assert await door.right() == "in"
    assert await door.wrong() == "PASSCODE_WRONG"
    assert await door.wrong() == "PASSCODE_ATTEMPTS_EXCEEDED"


@pytest.mark.parametrize(
    ("addresses", "answered"),
    [
        ([f"2001:db8:1:1::{host:x}" for host in range(1, 60)], 10),
        ([f"2001:db8:1:{net:x}::1" for net in range(1, 60)], 40),
        ([f"::ffff:198.51.100.{host}" for host in range(1, 60)], 59),
    ],
    ids=["one /64", "one /48", "IPv4 in IPv6"],
)
async def test_nobody_has_many_addresses_for_the_asking(door: Door, addresses: list[str], answered: int) -> None:
    answers = [await door.wrong(address) for address in addresses]
    assert answers.count("PASSCODE_WRONG") == answered


async def test_a_search_from_many_addresses_is_bounded(door: Door) -> None:
    """Six digits: 1,000 tries at once, then four a minute; those who failed before have less."""
    await door.search(1_000)
    assert await door.wrong("203.0.113.1") == "PASSCODE_ATTEMPTS_EXCEEDED"
    answered = 0
    for number in range(60):
        door.clock.advance(MINUTE / 4)
        answered += await door.wrong(f"203.0.113.{number}") == "PASSCODE_WRONG"
    assert answered <= 15 * 5
    assert answered < 60 + 1


async def test_failing_again_is_dearer_than_failing_first(door: Door) -> None:
    machines = [f"192.0.2.{number}" for number in range(40)]
    answers = [await door.wrong(machine) for _ in range(9) for machine in machines]
    assert answers.count("PASSCODE_WRONG") == 40 + 100
    assert await door.right("203.0.113.1") == "in", "somebody new is not held up by those"


async def test_whoever_was_in_is_not_held_up_by_a_search(door: Door) -> None:
    assert await door.right() == "in"
    await door.search(1_000)
    assert await door.right("203.0.113.1") == "PASSCODE_ATTEMPTS_EXCEEDED"
    assert await door.right() == "in"


async def test_the_host_is_told_of_a_search_and_again_while_it_goes_on(door: Door) -> None:
    await door.search(49)
    assert door.told == []
    await door.search(100)
    assert door.told == [50]


async def test_a_new_passcode_begins_anew(door: Door) -> None:
    await door.search(1_000)
    for _ in range(10):
        await door.wrong()
    door.meeting = changed(door.meeting, door.clock.now(), passcode="654321")
    assert await door.right() == "in"
    assert await door.right("203.0.113.1") == "in"


async def test_a_longer_number_is_held_up_by_no_search_that_anybody_can_afford(door: Door) -> None:
    door.meeting = changed(door.meeting, door.clock.now(), passcode="6543210987")
    await door.search(2_000)
    assert await door.right("203.0.113.1") == "in"


async def test_nothing_that_is_kept_of_attempts_stays_for_ever(client: RedisClient, door: Door) -> None:
    """PASS-3: a count without an end would refuse somebody for ever."""
    attempts, limit = Attempts(client, door.clock), Limit(2, 60)
    for _ in range(4):
        await attempts.count("calls", limit)
    async with attempts.attempt({"sign-in": limit}):
        await attempts.remember("known", 60)
        await door.right()
        await door.search(60)
        kept = [str(name) async for name in client.scan_iter("attempts:*")]
        assert len(kept) > 60
        assert [name for name in kept if await client.pttl(name) <= 0] == []


async def test_right_attempts_that_take_long_wait_for_their_turn_and_are_not_refused(client: RedisClient) -> None:
    """PASS-1 for passwords: 26 right ones at once, over two replicas."""
    replicas, limits, under_way, most = [Attempts(client) for _ in range(2)], {str(uuid4()): Limit(10, 900)}, 0, 0

    async def sign_in(number: int) -> None:
        nonlocal under_way, most
        async with replicas[number % 2].attempt(limits):
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.02)
            under_way -= 1

    await asyncio.gather(*[sign_in(number) for number in range(26)])
    assert most <= 10
    await sign_in(0)


async def test_wrong_attempts_that_take_long_are_no_more_than_the_limit_has(client: RedisClient) -> None:
    replicas, limits, tried = [Attempts(client) for _ in range(2)], {str(uuid4()): Limit(10, 900)}, 0

    async def sign_in(number: int) -> str:
        nonlocal tried
        try:
            async with replicas[number % 2].attempt(limits):
                tried += 1
                await asyncio.sleep(0.02)
                raise unauthenticated("CREDENTIALS_INVALID", "wrong")
        except DomainError as error:
            return answer_of(error)

    reasons = await asyncio.gather(*[sign_in(number) for number in range(40)])
    assert (tried, reasons.count("CREDENTIALS_INVALID")) == (10, 10)


async def test_an_attempt_that_was_given_up_holds_its_place_no_longer_than_it_takes(client: RedisClient) -> None:
    clock, key = FakeClock(), str(uuid4())
    attempts, limits = Attempts(client, clock), {key: Limit(1, 900)}
    dead = attempts.attempt(limits)
    await dead.__aenter__()  # its process stops here
    clock.advance(timedelta(seconds=16))
    async with attempts.attempt(limits):
        pass
    await dead.__aexit__(None, None, None)


def answer_of(error: DomainError) -> str:
    """The reason; whoever is refused for now is told until when."""
    is_for_now = error.kind is ErrorKind.RESOURCE_EXHAUSTED
    return error.reason if is_for_now == bool(error.retry_after) else f"{error.reason}, again in {error.retry_after} s"
