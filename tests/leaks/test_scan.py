"""Where a token stands, what it is, and that it is told without being shown."""

from __future__ import annotations

import io
import random
from typing import Any

import pytest

import fakes
from bearerwatch.fingerprint import fingerprint
from bearerwatch.leaks import pieces as pieces_module
from bearerwatch.leaks.gate import Gate
from bearerwatch.leaks.marks import cleaned, same_length
from bearerwatch.leaks.pieces import pieces
from bearerwatch.leaks.scan import Hit, Leak, Scanner
from bearerwatch.redact import redact_text


def scan(data: bytes, **options: Any) -> list[Hit]:
    scanner = Scanner(Gate(), **options)
    stream = io.BytesIO(data)
    return [hit for piece in pieces(stream.readinto) for hit in scanner(piece)]


def leaks(data: bytes, **options: Any) -> list[Leak]:
    return [leak for hit in scan(data, **options) for leak in hit.leaks]


def test_place_kind_and_fingerprint() -> None:
    token = fakes.opaque()
    (leak,) = leaks(f"one\r\nzwölf Bearer {token}\r\n".encode())
    assert (leak.line, leak.column, leak.kind) == (2, 14, "bearer")
    assert (leak.offset, leak.length) == (len("one\r\nzwölf Bearer ".encode()), 40)
    assert leak.fingerprint == fingerprint(token)
    assert leak.expired is None
    assert fakes.leaked(token, repr(leak)) == []


@pytest.mark.parametrize(
    ("claims", "expired"),
    [({"exp": 999}, True), ({"exp": 1000}, True), ({"exp": 1001.5}, False), ({}, None), ({"exp": "1"}, None),
     ({"exp": True}, None), ({"exp": -1}, None), ({"exp": 10**15}, None), ({"exp": None}, None)],
)  # fmt: skip
def test_a_jwt_is_expired_when_it_says_so_itself(claims: Any, expired: bool | None) -> None:
    (leak,) = leaks(f"Bearer {fakes.jwt({'sub': 'u'} | claims)}\n".encode(), now=1000)
    assert leak.expired is expired
    assert (leak.expires_at is None) == (expired is None)


def test_a_password_has_no_fingerprint() -> None:
    (leak,) = leaks(f"password={fakes.opaque(20)}1\n".encode())
    assert (leak.kind, leak.fingerprint, leak.expires_at) == ("password", None, None)


def test_bytes_that_are_no_text_survive_and_tokens_beside_them_are_found() -> None:
    token = fakes.opaque()
    line = b"\xff\xfe caf\xe9 Bearer " + token.encode() + b" \x80\xc3"
    (hit,) = scan(b"\n" + line + b"\n", clean=cleaned)
    assert hit.new == line.replace(token.encode(), b"[token " + fingerprint(token).encode() + b"]")
    assert (hit.leaks[0].line, hit.leaks[0].column) == (2, 16)


def test_a_line_is_cleaned_as_the_logging_redaction_would_clean_it() -> None:
    line = f'{{"access_token": "{fakes.opaque()}", "password": "{fakes.opaque(12)}7", "x": "Bearer {fakes.jwt()}"}}'
    (hit,) = scan(line.encode(), clean=cleaned)
    assert hit.new == redact_text(line).encode()


def rebuilt(data: bytes, hits: list[Hit]) -> bytes:
    out, at = b"", 0
    for hit in hits:
        assert at <= hit.start <= hit.end <= len(data)
        out += data[at : hit.start] + (hit.new or b"")
        at = hit.end
    return out + data[at:]


@pytest.mark.parametrize("clean", [cleaned, same_length])
def test_a_line_of_5_mb_is_looked_at_in_pieces_and_nothing_at_their_borders_is_missed(clean: Any) -> None:
    rng = random.Random(7)
    filler = "lorem ipsum dolor " * 63
    tokens = [fakes.jwt({"sub": "u" * rng.randrange(2000)}) for _ in range(60)]
    line, places = "", []
    for place, token in enumerate(tokens):
        border = (place % 4 + 1) * pieces_module.SIZE  # many of them close to where a piece ends
        target = border - rng.randrange(3000) if place % 3 == 0 else 0
        times = max(target, place * 80_000) - len(line)
        line += filler * (times // len(filler) + 1) if times > 0 else ""
        line += " é Bearer " if place in (0, 40) else " Bearer "
        places.append(len(line))
        line += f"{token} "
    line += filler
    data = f"first\n{line}\nlast Bearer {tokens[0]}\n".encode()
    assert len(data) > 4.5 * pieces_module.SIZE
    hits = scan(data, clean=clean)
    found = [leak for hit in hits for leak in hit.leaks]
    assert [(leak.line, leak.column) for leak in found] == [*((2, place + 1) for place in places), (3, 13)]
    assert [leak.fingerprint for leak in found] == [fingerprint(token) for token in (*tokens, tokens[0])]
    new = rebuilt(data, hits)
    for token in tokens:
        mark = f"[token {fingerprint(token)}]"
        data = data.replace(token.encode(), (mark if clean is cleaned else mark.ljust(len(token), "*")).encode())
    assert new == data
    assert scan(new, clean=clean) == []


def test_every_place_around_a_border_is_as_good_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token is found whole wherever a piece of a long line ends."""
    token = fakes.opaque(30)
    for shift in range(700, 1400, 3):
        data = b"x y " * (shift // 4) + b"." * (shift % 4) + b" Bearer " + token.encode() + b" z" * 600
        scanner = Scanner(Gate(), clean=cleaned)
        stream = io.BytesIO(data)
        hits = [hit for piece in pieces(stream.readinto, size=1024, margin=128) for hit in scanner(piece)]
        (leak,) = [leak for hit in hits for leak in hit.leaks]
        assert (leak.offset, leak.fingerprint) == (data.index(token.encode()), fingerprint(token))
        assert rebuilt(data, hits) == data.replace(token.encode(), b"[token " + fingerprint(token).encode() + b"]")


def test_a_token_longer_than_a_piece_leaves_nothing_behind() -> None:
    token = fakes.opaque(1_000_000, "a.B.3.c.Z.9.")
    data = b"Bearer " + token.encode() + b" end\n"
    new = rebuilt(data, scan(data, clean=cleaned))
    assert new.startswith(b"Bearer [token ")
    assert len(new) < 2000
    assert [new[at : at + 12] for at in range(len(new)) if new[at : at + 12] in data[7:-5] and len(new[at:]) > 11] == []
    assert new.endswith(b"] end\n")
