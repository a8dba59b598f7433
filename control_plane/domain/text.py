"""Rules for texts that people write and others see."""

from __future__ import annotations

import unicodedata
from functools import cache
from zoneinfo import available_timezones

# Characters that change the direction of what follows, with which a text can be made to look like another.
_DIRECTION_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def has_hidden_characters(text: str) -> bool:
    """Whether a text holds control or direction-override characters."""
    return any(one in _DIRECTION_OVERRIDES or unicodedata.category(one) == "Cc" for one in text)


def is_time_zone(name: str) -> bool:
    """Whether a name is in the IANA time zone database."""
    return name in _time_zones()


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())
