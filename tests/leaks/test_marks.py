"""Marks: of the right length, and nothing that looks like a token."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakes
from bearerwatch.fingerprint import fingerprint
from bearerwatch.leaks import marks
from bearerwatch.leaks.marks import cleaned, same_length
from bearerwatch.redact import redact_text
from bearerwatch.redact.engine import Span, find

LEADS = [
    "Bearer ", "Authorization: Bearer ", "authorization=[", "token=", "token=[", "access_token: (", '{"token": "', "jwt ",
    "X-Api-Key: ", "password=", "passwd: '", "Authorization: Basic ", "?access_token=", 'secret=["', "token token ",
]  # fmt: skip
TOKENS = st.one_of(
    st.integers(6, 80).map(fakes.opaque),
    st.builds(fakes.jwt),
    st.integers(6, 80).map(lambda n: fakes.opaque(n, "ab01-._~+/=")),
)
LINE = st.lists(
    st.tuples(st.sampled_from(LEADS), TOKENS, st.sampled_from(["", '"', "]", " ok ", "&x=1", ", "])).map("".join),
    min_size=1,
    max_size=4,
).map(" ".join)


@given(LINE)
def test_looking_again_finds_nothing(line: str) -> None:
    spans = find(line)
    for clean in (cleaned, same_length):
        new = clean(line, 0, len(line), spans)
        assert find(new) == []
        assert redact_text(new) == new


@given(LINE)
def test_at_the_same_length_all_else_stays_where_it_is(line: str) -> None:
    spans = find(line)
    new = same_length(line, 0, len(line), spans)
    assert len(new) == len(line)
    for start, end, _, _ in spans:
        line = line[:start] + new[start:end] + line[end:]
    assert new == line


def test_what_fits_names_the_token_and_is_padded() -> None:
    token = fakes.opaque(80)
    line = f"Bearer {token} ok"
    new = same_length(line, 0, len(line), find(line))
    assert new == f"Bearer [token {fingerprint(token)}]" + "*" * 30 + " ok"


def test_what_does_not_fit_is_cut_and_what_is_too_short_for_that_is_starred() -> None:
    middling, short = fakes.opaque(30), "Ab1" + fakes.opaque(12)
    line = f"Bearer {middling} and token={short}."
    new = same_length(line, 0, len(line), find(line))
    assert new == f"Bearer {f'[token {fingerprint(middling)}'[:29]}] and token={'*' * 15}."


def test_a_mark_that_looks_like_a_token_where_it_stands_is_starred_and_its_neighbour_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = fakes.opaque(30), fakes.opaque(30)
    line = f"Bearer {first} and Bearer {second}"

    def suspicious(text: str) -> list[Span]:
        at = text.find("[token", 0, 20)
        return [Span(at, at + 9, "made-up")] if at >= 0 else []

    monkeypatch.setattr(marks, "find", suspicious)
    new = same_length(line, 0, len(line), find(line))
    assert new == f"Bearer {'*' * 30} and Bearer {f'[token {fingerprint(second)}'[:29]}]"


@pytest.mark.parametrize("length", [8, 10, 16, 40])
def test_a_password_is_never_named_by_its_fingerprint(length: int) -> None:
    secret = fakes.opaque(length - 1) + "7"
    line = f"password={secret}"
    new = same_length(line, 0, len(line), find(line))
    assert len(new) == len(line)
    assert fingerprint(secret)[:12] not in new


@pytest.mark.parametrize("odd", ["\xe9\xff", "\udce9\udcff"], ids=["utf-8", "latin-1"])
def test_the_length_that_stays_is_that_in_bytes(odd: str) -> None:
    line = f"token={fakes.opaque(20)}{odd}{fakes.opaque(20)} ok"
    new = same_length(line, 0, len(line), find(line))
    assert len(new.encode("utf-8", "surrogateescape")) == len(line.encode("utf-8", "surrogateescape"))
    assert find(new) == []
