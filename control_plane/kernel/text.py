"""Rules for texts that people write and others see: what is shown must be visible, and be what it seems to be."""

from __future__ import annotations

import unicodedata
from functools import cache
from zoneinfo import available_timezones

import regex

from control_plane.kernel.errors import invalid_argument

# Unicode Technical Standard #51, ED-15a and following: a pictograph or flag, modified or joined to others; keycaps.
# Tags stand after the black flag alone and name a region, since no others are in use and any text could hide in them.
_EMOJI_PART = (
    r"(?:\p{Regional_Indicator}{2}|[0-9#*]\uFE0F?\u20E3|"
    r"\U0001F3F4[\U000E0030-\U000E0039\U000E0061-\U000E007A]{3,6}\U000E007F|"
    r"\p{Extended_Pictographic}(?:\p{Emoji_Modifier}|\uFE0F\u20E3?)?)"
)
_EMOJI = rf"{_EMOJI_PART}(?:\u200D{_EMOJI_PART})*"
_ONE_EMOJI = regex.compile(_EMOJI)

# Scripts whose letters join: there an invisible (non-)joiner changes what is seen.
_JOINING = "".join(
    rf"\p{{Script={name}}}"
    for name in (
        *("Arabic", "Syriac", "Mongolian", "Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Oriya", "Tamil", "Telugu"),
        *("Kannada", "Malayalam", "Sinhala", "Khmer", "Myanmar", "Tibetan"),
    )
)
# Where what can't be seen by itself belongs: in emoji, between joining letters, after what it chooses a shape of.
_WITH_MEANING = regex.compile(
    rf"{_EMOJI}|(?<=[{_JOINING}])[\u200C\u200D](?=[{_JOINING}])"
    r"|\p{Script=Han}[\uFE00-\uFE02\U000E0100-\U000E01EF]|\p{Script=Mongolian}[\u180B-\u180D\u180F]"
)
# Braille's blank, a note without a head, and what stands for an object that is not there, are seen as nothing too.
_NOT_SHOWN = regex.compile(
    r"[\p{Cc}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\p{Noncharacter_Code_Point}"
    r"\u2800\uFFF9-\uFFFC\U0001D159]"
)
_SHOWN = regex.compile(r"[\p{L}\p{N}\p{S}\p{P}]")
_PILE = regex.compile(r"\p{M}{9}")
"""More marks on one character than any language has."""


def check_shown(path: str, text: str) -> None:
    """Checks a name or topic that others see.

    Raises:
        DomainError: INVALID_ARGUMENT: says what is wrong in words.
    """
    bare = _WITH_MEANING.sub("", text)
    hidden = _NOT_SHOWN.search(bare)
    if hidden is not None:
        raise invalid_argument(path, f"holds a character that can't be seen (U+{ord(hidden[0]):04X}). Take it out.")
    if _PILE.search(text) is not None:
        raise invalid_argument(path, "piles up too many marks on one character.")
    if _SHOWN.search(text) is None and _ONE_EMOJI.search(text) is None:
        raise invalid_argument(path, "needs at least one character that can be seen.")


def is_emoji(text: str) -> bool:
    """Whether a text is one emoji, whatever it is made of."""
    return _ONE_EMOJI.fullmatch(text) is not None


def is_time_zone(name: str) -> bool:
    """Whether a name is in the IANA time zone database."""
    return name in _time_zones()


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def without_marks(text: str) -> str:
    """Returns a text without accents and other marks, and without what can't be seen."""
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(one for one in decomposed if not unicodedata.category(one).startswith("M") and one.isprintable())
