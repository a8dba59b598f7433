"""The one id factory: UUIDs for things, numbers for meetings, digits for passcodes, from the system's CSPRNG."""

from __future__ import annotations

import secrets
import uuid
from typing import Protocol

MEETING_NUMBER_DIGITS = 11
PASSCODE_DIGITS = 6


class IdFactory(Protocol):
    """Where ids come from; tests give a predictable one."""

    def uuid(self) -> str:
        """Return a new UUID in its canonical text form."""
        ...

    def meeting_number(self) -> str:
        """Return a candidate for a meeting's number: 11 digits, the first not 0. The store says whether it is free."""
        ...

    def passcode(self) -> str:
        """Return a passcode of 6 digits."""
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

    def passcode(self) -> str:
        """Return 6 random digits."""
        return f"{secrets.randbelow(10**PASSCODE_DIGITS):0{PASSCODE_DIGITS}d}"

    def secret(self) -> str:
        """Return 256 random bits, URL-safe base64 without padding."""
        return secrets.token_urlsafe(32)
