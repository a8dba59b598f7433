"""Argon2id (RFC 9106) in a few threads: hashing is slow on purpose, and must not be slow for anybody else."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from control_plane.kernel.errors import rate_limited

Result = TypeVar("Result")

# The second recommended option of RFC 9106: 64 MiB, three passes. But one lane instead of four: the same work, without
# taking all cores from a media node on the same machine at once.
_HASHER = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=1)
THREADS = 2
"""So at most 128 MiB and two cores at a time."""
MOST_WAITING = 32
"""More would wait longer than people do."""


class Passwords:
    """Hashes and checks passwords."""

    def __init__(self, hasher: PasswordHasher = _HASHER) -> None:
        self._hasher = hasher
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
        self._waiting = 0
        # What nobody knows: checking against it takes as long as against a real one.
        self._decoy = hasher.hash(secrets.token_urlsafe())

    async def hash(self, password: str) -> str:
        """Returns the hash to keep; RATE_LIMITED when too many are waiting."""
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, password_hash: str, password: str) -> bool:
        """Whether it is the password. An empty hash takes the same time and is never right."""
        return await self._run(lambda: self._verify(password_hash or self._decoy, password)) and bool(password_hash)

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters."""
        return self._hasher.check_needs_rehash(password_hash)

    def close(self) -> None:
        """Ends the threads when they have done what they do."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], Result]) -> Result:
        if self._waiting >= MOST_WAITING:
            raise rate_limited("Too many people are signing in. Try again in a moment.", 1.0)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1
