"""Names that people can mistake for each other, by the skeletons of Unicode Technical Standard #39, section 4.

The standard's table has six thousand rows for all scripts. Names are compared with those of the people in a room, and
are marked and not refused, so the rows that make a name look like one in Latin letters are enough: Cyrillic, Greek and
Armenian, Latin letters of other alphabets, digits. Compatibility forms (fullwidth, mathematical, ligatures) are covered
by NFKC, accents are left out.
"""

# ruff: noqa: RUF001 -- this is about ambiguous characters

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

from control_plane.kernel.text import without_marks

_CAPITALS: Final = str.maketrans(
    "АВЕКМНОРСТУХЅІЈԚԜҺԌ" + "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ" + "ՕՍԼ",
    "ABEKMHOPCTYXSIJQWHG" + "ABEZHIKMNOPTYX" + "OUL",
)  # fmt: skip
_SMALL: Final = str.maketrans(
    "авеԁһікмнорԛгѕтуѵԝхјӏс" + "αβεγικνορτυχω" + "ացհոսօզ" + "ɑɡɩıłøđħ" + "01|!",
    "abedhlkmhopqrstyvwxjlc" + "abeylkvoptuxw" + "wghnuoq" + "aglllodh" + "olll",
)  # fmt: skip
# A capital I is a small l to the eye, and a case fold makes it a small i.
_ONE: Final = str.maketrans("i", "l")


@lru_cache(maxsize=10_000)
def skeleton(name: str) -> str:
    """Returns what is the same for names that look alike; to be compared only."""
    plain = without_marks(unicodedata.normalize("NFKC", name).translate(_CAPITALS)).casefold()
    small = without_marks(plain).translate(_SMALL).translate(_ONE).replace("rn", "m")
    return " ".join(small.split())
