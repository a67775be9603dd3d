"""One revocation: what is one, what is refused line by line, and what two of the same token say together."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakes
from bearerwatch.fingerprint import fingerprint
from bearerwatch.verify.revocations import _entry
from bearerwatch.verify.revocations._entry import MAX_LINE, Revocation, collect, dump, lines, merge, parse, revoke
from verify.revocations.conftest import AT, entry


def test_it_is_written_and_read_again() -> None:
    made = revoke(fingerprint(fakes.opaque()), at=AT + 0.7, until=AT + 60.2, by="maria", reason="laptop stolen")
    assert (made.at, made.until) == (AT, AT + 61)  # forgotten a little late rather than too early
    assert parse(dump(made)) == made
    assert b"\n" not in dump(made)


def test_a_token_is_no_fingerprint_and_is_not_repeated() -> None:
    for token in (fakes.opaque(), fakes.jwt(), "short:12", "k1234abcd:9f86"):
        with pytest.raises(ValueError, match="no whole fingerprint") as caught:
            revoke(token, at=AT)
        assert not fakes.leaked(token, str(caught.value))


def test_a_reason_with_a_token_in_it_is_redacted() -> None:
    token = fakes.jwt()
    made = revoke(fingerprint(token), at=AT, reason=f"seen in a log: Bearer {token}")
    assert made.reason is not None
    assert not fakes.leaked(token, made.reason)


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b"null",
        b'"k00000000:00000000000000000000000000000000"',
        b'{"token_id":"short:12","at":1}',
        b'{"token_id":"K00000000:00000000000000000000000000000000","at":1}',
        b'{"token_id":"k00000000:00000000000000000000000000000000\\n","at":1}',
        b'{"token_id":"k00000000:00000000000000000000000000000000"}',
        b'{"token_id":"k00000000:00000000000000000000000000000000","at":"1"}',
        b'{"token_id":"k00000000:00000000000000000000000000000000","at":-1}',
        b'{"token_id":"k00000000:00000000000000000000000000000000","at":1,"until":1e99}',
        b'{"token_id":"k00000000:00000000000000000000000000000000","at":1,"reason":'
        + json.dumps("x" * 300).encode()
        + b"}",
        b'{"token_id":"k00000000:00000000000000000000000000000000","at":1,"more":"' + b"x" * MAX_LINE + b'"}',
        b"[" * 4000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_revocation_is_refused_and_the_others_are_taken(line: bytes) -> None:
    good = entry()
    found, refused = collect([b"# a comment", b"", line, dump(good)], AT)
    assert (found, refused) == ({good.token_id: math.inf}, 1)
    with pytest.raises(ValueError, match="the line is") as caught:
        parse(line)
    assert caught.value.__cause__ is None


def test_a_later_version_may_say_more() -> None:
    good = entry()
    line = json.dumps(json.loads(dump(good)) | {"scope": "all"}).encode()
    assert parse(line) == good


@given(st.lists(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode))))
def test_no_line_does_any_harm(lines: list[bytes]) -> None:
    good = dump(entry())
    found, refused = collect([*lines, good], AT)
    assert parse(good).token_id in found
    assert refused <= len(lines)


def test_what_may_be_forgotten_is() -> None:
    past, ends = entry(until=AT - 1), entry(until=AT + 1)
    assert collect([dump(past), dump(ends)], AT) == ({ends.token_id: float(AT + 1)}, 0)


def test_of_two_the_longer_counts() -> None:
    token = fakes.opaque()
    first, second = entry(token, until=AT + 9), entry(token, at=AT + 1, until=AT + 5, by="maria", reason="lost")
    assert merge(first, second) == entry(token, until=AT + 9, by="maria", reason="lost")
    assert merge(second, first) == merge(first, second)
    assert merge(first, entry(token, at=AT + 1)).until is None
    found, _ = collect([dump(first), dump(second)], AT)
    assert found == {first.token_id: float(AT + 9)}


@given(st.lists(st.binary(max_size=30), max_size=12))
def test_lines_are_the_same_in_whatever_pieces_they_come(found: list[bytes]) -> None:
    whole = b"\n".join(found)
    expected = whole.removesuffix(b"\n").split(b"\n") if whole else []
    for size in (1, 7, len(whole) or 1):
        assert list(lines(whole[at : at + size] for at in range(0, len(whole), size))) == expected


def test_a_line_without_end_takes_no_room() -> None:
    good = dump(entry())
    pieces = [good + b"\n", *[b"x" * 100_000] * 100, b"\n" + good]
    longest = max(map(len, lines(pieces)))
    assert longest <= MAX_LINE + 1 + 100_000
    assert collect(lines(pieces), AT)[1] == 1


def test_there_is_an_end_to_what_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_entry, "MAX_ENTRIES", 8)
    entries = [entry(at=AT + n) for n in range(30)]
    found, _ = collect(map(dump, entries), AT)
    assert list(found) == [one.token_id for one in entries[-8:]]


def test_it_does_not_show_what_it_does_not_have() -> None:
    assert set(Revocation.__struct_fields__) == {"token_id", "at", "until", "by", "reason"}
