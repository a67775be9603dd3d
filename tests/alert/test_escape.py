from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bearerwatch.alert.escape import MAX_LENGTH, plain, printable


def test_terminal_controls_become_visible() -> None:
    hostile = "a\x1b[2Jb\rc\nd\x00e\x7ff\x9bg"
    assert printable(hostile) == r"a\x1b[2Jb\x0dc\x0ad\x00e\x7ff\x9bg"


def test_invisible_and_reordering_characters_become_visible() -> None:
    assert printable("a\u202eb\u2066c\u2028d\u200be\ud800f\U000e0041") == (
        r"a\u202eb\u2066c\u2028d\u200be\ud800f\U000e0041"
    )


def test_ordinary_text_of_any_script_is_left_alone() -> None:
    assert printable("/bücher/日本語 ok") == "/bücher/日本語 ok"
    assert printable(None) == ""
    assert printable(404) == "404"


def test_long_values_are_cut() -> None:
    assert printable("x" * (MAX_LENGTH + 1)) == "x" * (MAX_LENGTH - 1) + "…"
    assert printable("x" * MAX_LENGTH) == "x" * MAX_LENGTH


@given(st.text())
def test_the_result_is_always_one_printable_line(text: str) -> None:
    assert printable(text).isprintable()


def test_chat_mentions_and_links_are_defused() -> None:
    text = plain("@everyone <!channel> <https://evil.example|click>")
    assert "@" not in text
    assert "<" not in text
