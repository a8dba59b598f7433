"""Limits of attempts and guesses, in plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """How many attempts somebody has.

    Attributes:
        attempts: So many at once.
        seconds: All of them are back after so many seconds, one after the other.
    """

    attempts: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that was counted.

    Attributes:
        allowed: Whether it is within the limit.
        left: How many more there are.
        retry_after: Seconds until there is another.
    """

    allowed: bool
    left: int
    retry_after: float


@dataclass(frozen=True, slots=True)
class Guesser:
    """Where a guess comes from.

    Attributes:
        name: What is remembered of it is kept under this name.
        limits: Its own limits by name: its address, the network around it.
    """

    name: str
    limits: Mapping[str, Limit]


@dataclass(frozen=True, slots=True)
class SecretLimits:
    """How many wrong guesses of one secret are answered, wherever they come from.

    Whoever has given the right answer lately is not held up by them.

    Attributes:
        first: For those who have not failed lately.
        again: For those who have.
        memory_seconds: How long "lately" is.
        tell_after: The secret's owner is told after so many.
        tell_seconds: But not more often than this.
    """

    first: Limit
    again: Limit
    memory_seconds: int
    tell_after: int
    tell_seconds: int


@dataclass(frozen=True, slots=True)
class Guess:
    """A guess that was judged.

    Attributes:
        answered: Whether the guesser may learn if it was right.
        left: How many more wrong ones the guesser's own limits have.
        retry_after: Seconds until another is answered.
        failures: So many wrong ones came, of which the secret's owner is to be told now; 0: nothing new.
    """

    answered: bool
    left: int
    retry_after: float
    failures: int
