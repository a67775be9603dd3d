"""Every window of every token is found, and nothing else."""

from __future__ import annotations

import base64
import json
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearerwatch.testing.needles import WINDOW, Needles, _base64_core

ALPHABET = "ABCab01-._~+/="
TOKENS = st.text(ALPHABET, min_size=WINDOW, max_size=40)


def jwt(claims: dict[str, object]) -> str:
    parts = [{"alg": "HS256", "typ": "at+jwt"}, claims]
    encoded = [base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts]
    return ".".join([*encoded, secrets.token_urlsafe(32)])


def windows(token: str) -> list[str]:
    return [token[i : i + WINDOW] for i in range(len(token) - WINDOW + 1)]


@given(TOKENS, st.text(ALPHABET, max_size=60), st.data())
def test_finds_what_a_naive_search_finds(token: str, text: str, data: st.DataObject) -> None:
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(text)))
        first = data.draw(st.integers(0, len(token) - WINDOW))
        past = data.draw(st.integers(first + WINDOW, len(token)))
        text = text[:at] + token[first:past] + text[at:]

    found = {(m.start, m.start + m.length) for m in Needles({"t": token})(text.encode()) if m.form == "clear"}

    expected = {i for i in range(len(text) - WINDOW + 1) if text[i : i + WINDOW] in windows(token)}
    covered = {i for start, stop in found for i in range(start, stop - WINDOW + 1)}
    assert covered == expected


@given(TOKENS, st.binary(max_size=20), st.binary(max_size=20), st.booleans(), st.data())
def test_finds_every_window_in_base64_at_every_alignment(
    token: str, before: bytes, after: bytes, url: bool, data: st.DataObject
) -> None:
    window = data.draw(st.sampled_from(windows(token)))
    encode = base64.urlsafe_b64encode if url else base64.b64encode

    matches = list(Needles({"t": token})(encode(before + window.encode() + after)))

    assert any(m.label == "t" and m.form == "base64" for m in matches)


@given(TOKENS, st.binary(max_size=20), st.binary(max_size=20))
def test_what_is_looked_for_in_base64_is_all_that_the_token_determines(token: str, before: bytes, after: bytes) -> None:
    core, _ = _base64_core(token.encode(), len(before) % 3)

    encoded = base64.b64encode(before + token.encode() + after)
    assert core in encoded
    assert len(core) >= len(token) * 8 // 6 - 1


@given(st.binary(max_size=400))
def test_finds_nothing_in_what_holds_no_token(text: bytes) -> None:
    assert list(Needles({"t": secrets.token_urlsafe(40)})(text)) == []


def test_searches_only_between_start_and_stop() -> None:
    token = secrets.token_urlsafe(40)
    text = b"." * 100 + token.encode() + b"." * 100

    assert list(Needles({"t": token})(text, 0, 100 + WINDOW - 1)) == []
    assert [(m.start, m.length) for m in Needles({"t": token})(text, 110, 130)] == [(110, 20)]


def test_the_header_segment_of_a_jwt_is_public() -> None:
    token = jwt({"sub": "ada", "jti": secrets.token_hex(8)})
    header = token.partition(".")[0]
    needles = Needles({"t": token})

    assert list(needles(f"typ {header}. and so on".encode())) == []
    assert list(needles(base64.b64encode(f"typ {header}. and so on".encode()))) == []
    assert needles.public_windows > 0


def test_one_character_of_the_claims_is_not() -> None:
    token = jwt({"sub": "ada"})
    header, _, rest = token.partition(".")

    [match] = Needles({"t": token})(f"xx {header}.{rest[0]} xx".encode())

    assert match.length == len(header) + 2


@pytest.mark.parametrize("token", ["aaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbb", "not-json-at-all.bbbbbbbb.cccccccc"])
def test_only_a_jose_header_is_public(token: str) -> None:
    head = token.partition(".")[0]

    assert list(Needles({"t": token})(head.encode()))


def test_a_public_text_does_not_count_and_what_goes_beyond_it_does() -> None:
    token = "example-prefix-of-a-team_" + secrets.token_urlsafe(30)
    needles = Needles({"t": token}, public=["as in example-prefix-of-a-team_"])

    assert list(needles(b"see example-prefix-of-a-team_!")) == []
    assert list(needles(base64.b64encode(b"see example-prefix-of-a-team_!"))) == []
    assert [m.length for m in needles(f"see {token[:26]}!".encode())] == [26]


def test_tokens_that_share_a_part_are_told_apart() -> None:
    shared = secrets.token_urlsafe(30)
    tokens = {"one": shared + "-" + secrets.token_urlsafe(20), "two": shared + "." + secrets.token_urlsafe(20)}

    longest = max(Needles(tokens)(b"::" + tokens["two"].encode() + b"::"), key=lambda m: m.length)

    assert (longest.label, longest.length) == ("two", len(tokens["two"]))


def test_a_token_without_a_window_is_refused_without_being_shown() -> None:
    with pytest.raises(ValueError, match="'short' has 9 characters") as error:
        Needles({"short": "s3cr3t-ab"})

    assert "s3cr3t" not in str(error.value)


def test_its_repr_shows_no_token() -> None:
    token = secrets.token_urlsafe(30)

    assert token[:WINDOW] not in repr(Needles({"t": token}))
    assert token[:WINDOW] not in repr(list(Needles({"t": token})(token.encode())))
