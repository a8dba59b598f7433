"""UNI-1, UNI-3, REA-1, CHT-4: names, topics and reactions are judged by what people see."""
# ruff: noqa: RUF001 -- this is about ambiguous characters

from __future__ import annotations

import pytest

from control_plane.kernel.errors import DomainError
from control_plane.kernel.look_alikes import skeleton
from control_plane.kernel.text import check_shown, is_emoji

FAMILY = "👩\u200d👩\u200d👧\u200d👦"
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"


def problem(text: str) -> str:
    try:
        check_shown("display_name", text)
    except DomainError as error:
        [violation] = error.field_violations
        return violation.description if violation.field == "display_name" else str(error)
    return ""


@pytest.mark.parametrize(
    "text",
    [
        "Ada",
        "Weekly, Zürich 🎉",
        "日本語",
        "葛\U000e0100城",  # a Japanese name with its own shape of a character
        "葛\U000e0100",
        "שלום 12 Bob",
        "علی\u200cرضا",  # a Persian name, whose letters must not join there
        "क्\u200dष",
        "Łukasz Żółć",
        "O'Brien-Smith, Jr.",
        "7",
        ".",
        "﷽",
        "👋🏽",
        FAMILY,
        FAMILY * 14,
        f"Team {ENGLAND} ❤️ 1️⃣",
        "ก็",
        "Việt",
    ],
)
def test_what_people_can_read_is_a_name(text: str) -> None:
    assert not problem(text)


@pytest.mark.parametrize(
    "hidden",
    [
        *("\0", "\n", "\t", "\x85", "\x7f"),
        *("\u2028", "\u2029", "\u2800", "\ufffc", "\ufff9", "\ue000", "\uffff", "\U0001fffe"),
        *("\u3164", "\u115f", "\u1160", "\uffa0", "\u034f", "\u180e", "\u00ad", "\u2060", "\ufeff", "\u17b4"),
        *("\u200b", "\u200c", "\u200d", "\u200e", "\u200f", "\u061c", "\ufe0f", "\U000e0041", "\U000e0100"),
        *("\u202a", "\u202e", "\u2066", "\u2069"),
        *("\U0001d159", "😀\U000e0068\U000e0069\U000e007f"),  # any text can hide in tags
    ],
    ids=ascii,
)
def test_what_can_not_be_seen_is_none_alone_nor_inside(hidden: str) -> None:
    for text in (hidden, hidden * 15, f"Al{hidden}ice", f"{hidden}Alice", f"Alice{hidden}"):
        assert "can't be seen" in problem(text)


@pytest.mark.parametrize("blank", ["", " ", "   ", "\u00a0", "\u3000", "\u2003 ", "\u0301", " \u0301"], ids=ascii)
def test_what_is_blank_is_none(blank: str) -> None:
    assert "can be seen" in problem(blank)


def test_marks_are_not_piled_up() -> None:
    assert "marks" in problem("Z" + "\u0301\u0489\u0337" * 33)


def test_a_refusal_is_in_words() -> None:
    assert problem("a\u200bb") == "holds a character that can't be seen (U+200B). Take it out."


@pytest.mark.parametrize(
    "emoji",
    [
        "👍",
        FAMILY,
        "🇨🇭",
        "1️⃣",
        "#️⃣",
        "👋🏽",
        "❤️",
        "❤",
        "☠️",
        "©️",
        ENGLAND,
        "🫨",
        "🏳️\u200d🌈",
        "👩🏽\u200d💻",
        "🧑🏿\u200d❤️\u200d💋\u200d🧑🏻",
    ],
)
def test_one_emoji_is_a_reaction_whatever_it_is_made_of(emoji: str) -> None:
    assert is_emoji(emoji)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "1",
        "#",
        "<",
        "👍👍",
        "👍 ",
        "\u0301",
        "\u200d",
        "\ufe0f",
        "\u20e3",
        "🇨",
        "🇨🇭🇨",
        "﷽",
        "\ua9c5",
        "👍\u200d",
        "\u200d👍",
    ],
    ids=ascii,
)
def test_anything_else_is_none(text: str) -> None:
    assert not is_emoji(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Mark", "M\u0430rk"),
        ("Alice", "ALICE"),
        ("Alice", "  Alice  "),
        ("Alice", "A1ice"),
        ("Alice", "\uff21\uff4c\uff49\uff43\uff45"),
        ("Alice", "𝐀𝐥𝐢𝐜𝐞"),
        ("Paul", "РаuӀ"),
        ("Helen", "ΗΕLΕΝ"),
        ("Ivan", "lvan"),
        ("Bob", "B0b"),
        ("Bernard", "Bemard"),
        ("José", "Jose"),
        ("Ноst", "Host"),
        ("Zoë Kim", "Zoe  Kim"),
    ],
)
def test_names_that_look_alike_have_one_skeleton(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(
    ("one", "other"), [("Ada", "Ida"), ("Anna", "Hanna"), ("Пётр", "Павел"), ("日本", "日木"), ("🎉", "🎈")]
)
def test_other_names_have_another(one: str, other: str) -> None:
    assert skeleton(one) != skeleton(other)
