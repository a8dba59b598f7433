"""The one id factory. All of it comes from the operating system's CSPRNG: nobody shall guess a meeting or a session."""

from __future__ import annotations

import secrets
import uuid
from typing import Protocol

MEETING_NUMBER_DIGITS = 11
_LOWEST_MEETING_NUMBER = 10 ** (MEETING_NUMBER_DIGITS - 1)
_PASSCODE_DIGITS = 6
_SECRET_BYTES = 32


class Ids(Protocol):
    """Makes ids and secrets."""

    def uuid(self) -> str:
        """A random UUID (RFC 9562, version 4), lower-case with hyphens."""
        ...

    def meeting_number(self) -> str:
        """An 11-digit number that does not begin with 0. The store says whether it is taken."""
        ...

    def passcode(self) -> str:
        """Six digits."""
        ...

    def secret(self) -> str:
        """256 random bits in URL-safe base64 (43 characters)."""
        ...


class RandomIds:
    """Ids from the operating system's CSPRNG."""

    def uuid(self) -> str:
        """A random UUID."""
        return str(uuid.uuid4())

    def meeting_number(self) -> str:
        """One of 9 * 10^10 numbers, each as likely as any other."""
        return str(_LOWEST_MEETING_NUMBER + secrets.randbelow(9 * _LOWEST_MEETING_NUMBER))

    def passcode(self) -> str:
        """One of 10^6 passcodes, each as likely as any other."""
        return f"{secrets.randbelow(10**_PASSCODE_DIGITS):0{_PASSCODE_DIGITS}d}"

    def secret(self) -> str:
        """256 random bits in URL-safe base64."""
        return secrets.token_urlsafe(_SECRET_BYTES)
