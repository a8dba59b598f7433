from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from control_plane.accounts import passwords
from control_plane.accounts.passwords import Passwords
from control_plane.kernel.errors import DomainError


@pytest.fixture
def quick() -> Iterator[Passwords]:
    """Argon2id with the least work that it takes."""
    it = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    yield it
    it.close()


async def test_a_password_is_known_by_its_hash_and_others_are_not(quick: Passwords) -> None:
    kept = await quick.hash("correct horse")
    assert kept.startswith("$argon2id$")
    assert await quick.verify(kept, "correct horse")
    assert not await quick.verify(kept, "correct horsf")
    assert kept != await quick.hash("correct horse")


async def test_no_password_is_right_where_there_is_no_account(quick: Passwords) -> None:
    assert not await quick.verify("", "")
    assert not await quick.verify("no hash at all", "x")


async def test_weaker_hashes_are_outdated(quick: Passwords) -> None:
    kept = await quick.hash("x")
    assert not quick.is_outdated(kept)
    stronger = Passwords(PasswordHasher(time_cost=2, memory_cost=8, parallelism=1))
    assert stronger.is_outdated(kept)
    stronger.close()


class Blocked(PasswordHasher):
    """Waits until it may hash."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.go = threading.Event()
        self.go.set()
        self.most = self.now = 0

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.now += 1
        self.most = max(self.most, self.now)
        self.go.wait(30)
        self.now -= 1
        return super().hash(password, salt=salt)


async def test_only_a_few_are_hashed_at_a_time_and_only_so_many_wait() -> None:
    hasher = Blocked()
    busy = Passwords(hasher)
    hasher.go.clear()
    waiting = [asyncio.create_task(busy.hash("x")) for _ in range(passwords.MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(DomainError) as raised:
        await busy.hash("one too many")
    assert (raised.value.reason, raised.value.retry_after) == ("RATE_LIMITED", 1.0)
    hasher.go.set()
    await asyncio.gather(*waiting)
    assert hasher.most <= passwords.THREADS
    await busy.hash("there is room again")
    busy.close()
