"""Tokens in flight are removed by value: whole, encoded and in pieces; passwords are masked and not fingerprinted."""

from __future__ import annotations

import secrets

import pytest

from bearerwatch.context import live
from bearerwatch.fingerprint import fingerprint
from bearerwatch.redact import redact_text
from fakes import jwt


@pytest.fixture(params=["opaque", "jwt"])
def token(request):
    made = secrets.token_urlsafe(33) if request.param == "opaque" else jwt()
    ticket = live.add(made)
    yield made
    live.discard(ticket)


def _windows(token: str) -> set[str]:
    start = token.index(".") - 11 if token.startswith("eyJ") else 0
    return {token[at : at + 12] for at in range(start, len(token) - 11)}


def test_no_piece_of_twelve_characters_survives(token):
    half = len(token) // 2
    for piece in (token[-20:], token[half : half + 16], token[:half], repr(token.split("."))):
        clean = redact_text(f"seen {piece} here")

        assert not any(window in clean for window in _windows(token))
        assert clean.startswith("seen ")
        assert clean.endswith(" here")


def test_a_piece_reads_as_the_token_it_is_of(token):
    assert redact_text(f"seen {token[-20:]} here") == f"seen [token {fingerprint(token)}] here"


def test_once_the_request_is_over_pieces_are_just_text():
    token = secrets.token_urlsafe(33)
    live.discard(live.add(token))

    assert redact_text(f"seen {token[:20]} here") == f"seen {token[:20]} here"


def test_a_piece_two_tokens_share_is_found_while_either_lives():
    shared = secrets.token_urlsafe(18)
    older, younger = shared + secrets.token_urlsafe(9), shared + secrets.token_urlsafe(9)
    held, gone = live.add(older), live.add(younger)
    redact_text("learn both")
    live.discard(gone)

    clean = redact_text(f"seen {shared} here")
    live.discard(held)

    assert clean == f"seen [token {fingerprint(older)}] here"


def test_the_public_header_of_a_jwt_is_no_secret():
    token = jwt()
    ticket = live.add(token)
    header = token.partition(".")[0]

    clean = redact_text(f"alg of {header} is fine")
    live.discard(ticket)

    assert clean == f"alg of {header} is fine"


@pytest.mark.parametrize("text", ["Authorization: Basic {}", "password={}", '{{"passwd": "{}"}}', "Basic {}"])
def test_passwords_are_masked_and_have_no_fingerprint(text):
    secret = secrets.token_urlsafe(24)

    clean = redact_text(text.format(secret))

    assert clean == text.format("[password]")
    assert redact_text(clean) == clean


def test_a_password_in_flight_has_no_fingerprint_wherever_it_turns_up():
    secret = secrets.token_urlsafe(24)
    ticket = live.add(secret, password=True)

    clean = redact_text(f"checking {secret} and {secret[:14]}")
    live.discard(ticket)

    assert clean == "checking [password] and [password]"
    assert live.passwords() == frozenset()
