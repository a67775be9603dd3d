"""Tokens in flight are removed by value: whole, encoded and in pieces; passwords are masked and not fingerprinted."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearerwatch.context import live
from bearerwatch.fingerprint import fingerprint
from bearerwatch.redact import redact_text
from bearerwatch.redact.live import _MOST, LiveText
from fakes import at_once, jwt, token_urlsafe


@pytest.fixture(params=["opaque", "jwt"])
def token(request):
    made = token_urlsafe(33) if request.param == "opaque" else jwt()
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
    token = token_urlsafe(33)
    live.discard(live.add(token))

    assert redact_text(f"seen {token[:20]} here") == f"seen {token[:20]} here"


def test_a_piece_two_tokens_share_is_found_while_either_lives():
    shared = token_urlsafe(18)
    older, younger = shared + token_urlsafe(9), shared + token_urlsafe(9)
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
    secret = token_urlsafe(24)

    clean = redact_text(text.format(secret))

    assert clean == text.format("[password]")
    assert redact_text(clean) == clean


def test_a_password_in_flight_has_no_fingerprint_wherever_it_turns_up():
    secret = token_urlsafe(24)
    ticket = live.add(secret, password=True)

    clean = redact_text(f"checking {secret} and {secret[:14]}")
    live.discard(ticket)

    assert clean == "checking [password] and [password]"
    assert live.passwords() == frozenset()


# -- many, and for long --------------------------------------------------------------------------------


@pytest.fixture
def many():
    """Two thousand live tokens, opaque ones and JWTs."""
    held = [token_urlsafe(33) if number % 2 else jwt() for number in range(2_000)]
    tickets = [live.add(token) for token in held]
    yield held
    for ticket in tickets:
        live.discard(ticket)


def test_the_oldest_of_thousands_is_still_known_in_pieces(many):
    for token in (many[0], many[1], many[1_000], many[-1], many[-2]):
        piece = token[-20:]
        assert redact_text(f"seen {piece} here") == f"seen [token {fingerprint(token)}] here"
        assert redact_text(f"seen {token} here") == f"seen [token {fingerprint(token)}] here"


def test_a_thousand_cost_what_ten_do(many):
    """By operations, not by the clock: each text is looked through once."""
    text = LiveText()
    list(text.find("learn them"))
    line = "GET /api/organizations/12/memberships 200 0.012s 203.0.113.7 python-httpx/0.28.1"
    looked = [0]

    class Counting(dict):
        def keys(self):
            looked[0] += 1
            return super().keys()

    text._grams = Counting(text._grams)
    assert list(text.find(line)) == []
    assert looked[0] == 1


def test_what_is_over_is_forgotten_before_it_fills_the_memory():
    text = LiveText()
    for _ in range(400):
        token = token_urlsafe(3_000)  # 4,000 characters
        ticket = live.add(token)
        assert [span[:2] for span in text.find(f"x {token} y")] != []
        live.discard(ticket)
    assert len(text._known) * 4_000 <= _MOST
    assert len(text._grams) < _MOST // 2


def test_what_lives_is_never_forgotten_however_much_comes_and_goes():
    token = token_urlsafe(33)
    ticket = live.add(token)
    redact_text("learn it")
    for _ in range(200):
        live.discard(passing := live.add(token_urlsafe(6_000)))
        redact_text("and that")
        live.discard(passing)
    for _ in range(200):
        passing = live.add(token_urlsafe(6_000))
        redact_text("and that")
        live.discard(passing)

    clean = redact_text(f"seen {token[11:30]} here")
    live.discard(ticket)

    assert clean == f"seen [token {fingerprint(token)}] here"


def test_who_never_logs_keeps_nothing():
    for _ in range(1_000):
        live.discard(live.add(token_urlsafe(33)))
    assert not live
    assert live.fresh == {}


def test_a_secret_of_any_characters_is_found_whole():
    secret = "correct horse, battery \N{SNOWMAN} staple"
    ticket = live.add(secret)

    clean = redact_text(f"got {secret}!")
    live.discard(ticket)

    assert clean == f"got [token {fingerprint(secret)}]!"


def test_threads_that_come_and_go_hide_no_token():
    """Whoever looks while another learns waits until that is done."""
    failed: list[str] = []

    def work():
        for _ in range(300):
            token = token_urlsafe(33)
            ticket = live.add(token)
            clean = redact_text(f"seen {token} and {token[5:25]}")
            if token[5:17] in clean:
                failed.append(clean)
            live.discard(ticket)

    at_once(work)
    assert failed == []


TOKENS = st.lists(st.text("abAB01-_.", min_size=12, max_size=60), min_size=1, max_size=4)


@given(TOKENS, st.data())
def test_every_window_of_twelve_and_nothing_else_is_found(tokens, data):
    """Against an oracle that looks at every window of every token, in pieces cut anywhere."""
    pieces = []
    for _ in range(data.draw(st.integers(1, 5))):
        token = data.draw(st.sampled_from(tokens))
        start = data.draw(st.integers(0, len(token) - 1))
        pieces.append(token[start : start + data.draw(st.integers(1, 60))])
        pieces.append(data.draw(st.text("abAB01 /:", max_size=14)))
    text = "".join(pieces)
    windows = {token[at : at + 12] for token in tokens for at in range(len(token) - 11)}
    wanted = {at + i for at in range(len(text) - 11) if text[at : at + 12] in windows for i in range(12)}
    tickets = [live.add(token) for token in tokens]
    try:
        found = {at for start, end, _ in LiveText().find(text) for at in range(start, end)}
    finally:
        for ticket in tickets:
            live.discard(ticket)
    runs = {at for run in re.finditer(r"[A-Za-z0-9._~+/=%-]{12,}", text) for at in range(*run.span())}
    assert found & runs == wanted & runs
