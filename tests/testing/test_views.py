"""Escapes are undone wherever they stand, and offsets lead back to the text as it is."""

from __future__ import annotations

import json
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from bearerwatch.testing.needles import Needles
from bearerwatch.testing.views import views

TOKEN = "abcdefgh.ijklmnop-qrstuvwx+yz0123456789/ABCDEF="


def escaped(text: str, ways: list[int]) -> str:
    """Each character in one of many spellings."""
    spellings = [
        lambda c: c,
        lambda c: f"%{ord(c):02x}",
        lambda c: f"%{ord(c):02X}",
        lambda c: f"\\u{ord(c):04x}",
        lambda c: f"\\x{ord(c):02x}",
        lambda c: f"&#{ord(c)};",
        lambda c: f"&#x{ord(c):x};",
        lambda c: f"\x1b[1m{c}\x1b[0m",
        lambda c: f"{c}\0",
        lambda c: f"=\r\n{c}",
    ]
    return "".join(spellings[ways[i % len(ways)] % len(spellings)](c) for i, c in enumerate(text))


def found(text: bytes) -> list[tuple[int, int]]:
    needles = Needles({"t": TOKEN})
    return [
        (view.origin(match.start), match.length)
        for view in views(text)
        for start, stop in view.spans
        for match in needles(view.text, start, stop)
        if view.fresh(match.start, match.start + match.length)
    ]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=7), st.text("ab%\\&=\0", max_size=80))
def test_a_token_in_any_mix_of_spellings_is_found_where_it_stands(ways: list[int], before: str) -> None:
    text = (before + " " + escaped(TOKEN, ways) + " after").encode()
    begins = len(before.encode()) + 1

    places = found(text)

    assert any(begins <= start < begins + len(text) for start, _ in places)
    assert max(length for _, length in places) >= len(TOKEN) - 1


def test_encodings_inside_encodings_are_undone() -> None:
    twice = quote(quote("".join(f"%{ord(c):02X}" for c in TOKEN), safe=""), safe="")
    nested = json.dumps({"a": json.dumps({"b": TOKEN.replace("/", "\\/").replace("+", "\\u002b")})})

    assert found(twice.encode())
    assert max(length for _, length in found(nested.encode())) == len(TOKEN)


def test_what_stands_in_clear_is_reported_once() -> None:
    assert found(f'{{"a": "\\"{TOKEN}\\"", "b": "50%25"}}'.encode()) == [(9, len(TOKEN))]


def test_a_text_without_escapes_has_one_view() -> None:
    assert [view.name for view in views(b"GET /orders 200")] == [""]
