"""Who is alive and whose share is what, among processes over one Redis and under the test's clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta

import pytest

from control_plane.kernel.errors import DomainError
from control_plane.platform.redis.client import connect
from control_plane.platform.replicas import EXPIRY, Replicas, Share
from tests.control_plane.conftest import Client
from tests.support.live import SetClock

ITEMS = [f"meeting-{number}" for number in range(300)]
PATIENCE = timedelta(seconds=5)

Make = Callable[[], Replicas]


@pytest.fixture
def make(client: Client, clock: SetClock) -> Make:
    return lambda: Replicas(client, clock)


async def beat(*replicas: Replicas) -> None:
    """All say that they are alive, and then all see it."""
    for _ in range(2):
        for one in replicas:
            await one.beat()


async def pass_time(clock: SetClock, seconds: float, *replicas: Replicas) -> None:
    for _ in range(int(seconds)):
        clock.move(1)
        await beat(*replicas)


def shares(replicas: Iterable[Replicas]) -> list[set[str]]:
    return [{item for item in ITEMS if one.mine(item)} for one in replicas]


@pytest.mark.parametrize("count", [1, 2, 3])
async def test_shares_are_disjoint_and_complete_when_all_are_alive(make: Make, count: int) -> None:
    replicas = [make() for _ in range(count)]
    await beat(*replicas)

    found = shares(replicas)

    assert sorted(item for share in found for item in share) == sorted(ITEMS)
    # A third of 300 is 100, with a standard deviation of 8: this is ten of them.
    assert all(len(share) > len(ITEMS) / count - 80 for share in found)


async def test_the_share_of_one_that_is_killed_is_taken_over_and_no_other_moves(make: Make, clock: SetClock) -> None:
    one, two, three = replicas = [make() for _ in range(3)]
    await beat(*replicas)
    before = shares(replicas)

    await pass_time(clock, EXPIRY.total_seconds() - 1, one, two)
    assert shares([one, two]) == before[:2], "a late heartbeat is no death"
    await pass_time(clock, 1, one, two)

    after = shares([one, two])
    assert after[0] | after[1] == set(ITEMS)
    assert not after[0] & after[1]
    assert before[0] < after[0]
    assert before[1] < after[1]
    assert three.id not in one.alive | two.alive


async def test_one_that_joins_takes_some_of_each_and_gives_none_around(make: Make) -> None:
    one, two = make(), make()
    await beat(one, two)
    before, changes = shares([one, two]), one.changes

    three = make()
    await beat(three, one, two)

    after = shares([one, two, three])
    assert after[2]
    assert (before[0] - after[0]) | (before[1] - after[1]) == after[2]
    assert after[0] < before[0]
    assert after[1] < before[1]
    assert one.changes == changes + 1


async def test_one_that_comes_back_takes_its_share_again(make: Make, clock: SetClock) -> None:
    one, two = make(), make()
    await beat(one, two)
    before = shares([one, two])
    await pass_time(clock, 10, one)
    assert shares([one]) == [set(ITEMS)]

    await beat(two, one)

    assert shares([one, two]) == before


async def test_one_that_ends_in_good_order_is_followed_at_once(make: Make) -> None:
    one, two = make(), make()
    await beat(one, two)

    await two.leave()
    await two.beat()
    await one.beat()

    assert shares([one, two]) == [set(ITEMS), set()]
    await one.leave()
    await one.beat()
    await two.beat()
    assert shares([one, two]) == [set(ITEMS)] * 2, "what nobody else does goes on until the process ends"


async def test_a_clock_that_is_far_off_takes_nothing_from_the_others(client: Client, clock: SetClock) -> None:
    ahead = SetClock()
    ahead.move(3600)
    one, wrong = Replicas(client, clock), Replicas(client, ahead)

    await beat(one, wrong)

    assert shares([one, wrong]) == [set(ITEMS)] * 2, "both do everything: neither waits for the other"


async def test_without_redis_the_last_view_holds(make: Make) -> None:
    one, two = make(), make()
    await beat(one, two)
    before = shares([one])
    one._client = connect("redis://127.0.0.1:1/0")

    with pytest.raises(DomainError, match="STORE_UNAVAILABLE"):
        await one.beat()

    assert shares([one]) == before
    await one._client.aclose()


async def test_what_its_owner_leaves_lying_is_taken_by_another(make: Make, clock: SetClock) -> None:
    """A process can be alive and its loop stuck."""
    one, two = make(), make()
    await beat(one, two)
    share = Share(one, clock, PATIENCE)
    own = [item for item in ITEMS if one.mine(item)]
    assert list(share.take(ITEMS, 1_000)) == own

    clock.move(4)
    assert list(share.take(ITEMS[1:], 1_000)) == [item for item in own if item != ITEMS[0]]
    clock.move(1)

    assert set(share.take(ITEMS, 1_000)) == {*own, *ITEMS[1:]}, "the first was away in between, so it waits anew"
    assert list(share.take(ITEMS, 1_000))[: len(own)] == own, "its own come first"


async def test_none_is_starved_by_those_that_stay(make: Make, clock: SetClock) -> None:
    share = Share(make(), clock, PATIENCE)

    taken = [item for _ in range(6) for item in share.take(ITEMS, 50)]

    assert sorted(taken) == sorted(ITEMS)
