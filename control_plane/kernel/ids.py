"""The one id factory: UUIDs for things, numbers for meetings, digits for passcodes, from the system's CSPRNG."""

from __future__ import annotations

import secrets
import uuid
from typing import Protocol

MEETING_NUMBER_DIGITS = 11
PASSCODE_DIGITS = 6
LONG_PASSCODE_DIGITS = 10
"""Too many to be searched, and still to be dictated and dialled."""


class IdFactory(Protocol):
    """Where ids come from; tests give a predictable one."""

    def uuid(self) -> str:
        """Return a new UUID in its canonical text form."""
        ...

    def meeting_number(self) -> str:
        """Return a candidate for a meeting's number: 11 digits, the first not 0. The store says whether it is free."""
        ...

    def passcode(self, digits: int = PASSCODE_DIGITS) -> str:
        """Return a passcode of so many digits."""
        ...

    def secret(self) -> str:
        """Return 256 random bits, URL-safe."""
        ...


class SystemIds:
    """Ids from the system's CSPRNG."""

    def uuid(self) -> str:
        """Return a random UUID (version 4)."""
        return str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))

    def meeting_number(self) -> str:
        """Return 11 random digits, the first not 0."""
        lowest = 10 ** (MEETING_NUMBER_DIGITS - 1)
        return str(lowest + secrets.randbelow(9 * lowest))

    def passcode(self, digits: int = PASSCODE_DIGITS) -> str:
        """Return random digits."""
        return f"{secrets.randbelow(10**digits):0{digits}d}"

    def secret(self) -> str:
        """Return 256 random bits, URL-safe base64 without padding."""
        return secrets.token_urlsafe(32)
