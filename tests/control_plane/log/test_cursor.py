from __future__ import annotations

import pytest

from control_plane.kernel.errors import DomainError
from control_plane.log.cursor import Cursor, order, parse


def test_cursors_come_back_as_they_were_and_fit_the_contract() -> None:
    cursor = Cursor("12345678901", "0123abcd", "1795231073715-42")

    assert parse(str(cursor), "12345678901") == cursor
    assert len(str(cursor)) <= 64


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.12345678901.0123abcd.1795231073715",
        "2.12345678901.0123abcd.1-1",
        "1.12345678901.0123abcd.1-1\n",
        "\0",
    ],
)
def test_texts_that_are_no_cursors_are_refused(text: str) -> None:
    with pytest.raises(DomainError) as refused:
        parse(text, "12345678901")

    assert refused.value.reason == "CURSOR_INVALID"


def test_positions_are_ordered_by_number_not_by_text() -> None:
    assert order("9-10") < order("10-2") < order("10-11")
