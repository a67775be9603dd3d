"""Escaped, coloured and wrapped text is read as it was meant, and what is found in it is put where it stands."""

from __future__ import annotations

import base64
import html
import json
import re
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearerwatch.fingerprint import ring
from bearerwatch.redact import redact_text
from bearerwatch.redact.views import undone, view_of
from fakes import jwt, leaked, opaque


def percent(text: str) -> str:
    return quote(text, safe="")


def everything(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


def escaped(text: str) -> str:
    return json.dumps(text)[1:-1]


def unicode_escaped(text: str) -> str:
    return "".join(f"\\u{ord(char):04x}" for char in text)


def coloured(text: str) -> str:
    return re.sub(r"[^ ]+", lambda match: f"\x1b[1;32m{match[0]}\x1b[0m", text)


def sown(text: str) -> str:
    return "\u200b".join(text)


def references(text: str) -> str:
    return "".join(f"&#{ord(char)};" if place % 2 else f"&#x{ord(char):x};" for place, char in enumerate(text))


LISTS: list[Callable[[bytes], str]] = [
    lambda data: data.hex(" "),
    lambda data: data.hex(":"),
    lambda data: data.hex("-").upper(),
    lambda data: ", ".join(f"0x{byte:02x}" for byte in data),
    lambda data: f"<Buffer {data.hex(' ')}>",
    lambda data: str(list(data)),
    lambda data: "[" + " ".join(map(str, data)) + "]",
    lambda data: '{"type":"Buffer","data":[' + ",".join(map(str, data)) + "]}",
]
"""As Node.js, Go, .NET, C and Python print bytes."""


@pytest.mark.parametrize("listed", LISTS)
@pytest.mark.parametrize("text", ["Authorization: Bearer {}", '{{"access_token": "{}"}}'])
def test_bytes_that_are_listed_are_read(listed: Callable[[bytes], str], text: str) -> None:
    said = listed(text.format(opaque(40)).encode())
    clean = redact_text(f"sent {said} over")
    assert clean.startswith("sent ")
    assert clean.endswith(" over")
    assert "[token " in clean
    assert len(re.findall("[0-9A-Fa-f]{2}", clean)) < 60
    harmless = listed(b"GET /items/17 HTTP/1.1 and nothing that anybody would want to hide")
    assert redact_text(harmless) == harmless


def test_a_message_of_sasl_is_read() -> None:
    said = base64.b64encode(f"user=ada@example.com\1auth=Bearer {opaque(40)}\1\1".encode()).decode()
    assert not leaked(said, redact_text(f"a1 AUTHENTICATE XOAUTH2 {said}"))


def test_a_url_that_is_broken_behind_its_parameters_name_goes_on() -> None:
    token = f"aB3{opaque(60)}"
    text = f"GET https://app.example.com/cb?access_token=\n{token[:40]}\n{token[40:]}&page=2"
    assert not leaked(token, redact_text(text))
    other = f"API_TOKEN=\n{'0123456789abcdef' * 4}  shop.tar"
    assert redact_text(other) == other


def test_lines_that_are_broken_at_hyphens_are_joined() -> None:
    token = f"{opaque(40)}\n_Gx-\n{opaque(40)}"
    assert redact_text(f'{{"access_token": "{token}",\n"page": 2}}').count("\n") == 1


NOISES: list[Callable[[str], str]] = [
    *(percent, everything, escaped, unicode_escaped, html.escape, coloured, sown, references)
]


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("again", [None, percent, escaped, html.escape])
@pytest.mark.parametrize("text", ["Authorization: Bearer {}", '{{"access_token": "{}"}}', "token={}"])
def test_a_token_is_found_through_noise(
    noise: Callable[[str], str], again: Callable[[str], str] | None, text: str
) -> None:
    token = opaque(30) + "7"
    noisy = noise(text.format(token))
    if again is not None:
        noisy = again(noisy)
    clean = redact_text(f"before {noisy} after")
    assert clean.startswith("before ")
    assert clean.endswith(" after")
    assert not leaked(token, clean, undone(clean) or "")
    assert redact_text(clean) == clean


def test_what_is_found_in_a_view_has_the_tokens_own_fingerprint() -> None:
    token = f"{opaque(20)}+/{opaque(20)}7"
    mark = f"[token {ring().token_id(token)}]"
    assert redact_text(f"next=%2Fcb%3Ftoken%3D{percent(token)}%26x%3D1") == f"next=%2Fcb%3Ftoken%3D{mark}%26x%3D1"
    assert (
        redact_text(f"\x1b[36mtoken\x1b[0m=\x1b[35m{token}\x1b[0m end")
        == f"\x1b[36mtoken\x1b[0m=\x1b[35m{mark}\x1b[0m end"
    )


@pytest.mark.parametrize("width", [40, 60, 76])
@pytest.mark.parametrize("between", ["\n", "\r\n", "\n    ", "=\n", "\\\n", "=\r\n"])
def test_a_token_wrapped_over_lines_is_one(width: int, between: str) -> None:
    token = jwt()
    wrapped = between.join(token[at : at + width] for at in range(0, len(token), width))
    for text in ("Authorization: Bearer {}", "token={}\nnext: line", '{{"jwt": "{}"}}'):
        clean = redact_text(text.format(wrapped))
        assert clean == text.format(f"[token {ring().token_id(token)}]")


def test_lines_that_follow_a_token_are_not_part_of_it() -> None:
    token = opaque(40) + "7"
    mark = f"[token {ring().token_id(token)}]"
    for after in (
        "\n    at com.example.Main.run(Main.java:7)",
        "\nGET /orders 200",
        "\nX-Request-ID: 1",
        "\n\nend of it",
    ):
        assert redact_text(f"Authorization: Bearer {token}{after}") == f"Authorization: Bearer {mark}{after}"


NOISE = st.sampled_from(
    ["%41", "%2", "%", "\\u0042", "\\x41", "\\n", "\\", "&amp;", "&#65;", "&", ";", "\x1b[0m", "\x1b[", "\u200b", "é"]
)
TEXT = st.lists(NOISE | st.text(max_size=5) | st.just("a" * 30 + "\n" + "b" * 30), max_size=12).map("".join)


@given(TEXT)
def test_both_ways_to_a_view_agree_and_its_places_are_in_order(text: str) -> None:
    view = view_of(text)
    assert undone(text) == (None if view is None or view.text == text else view.text)
    if view is not None:
        assert len(view.text) == len(view.begins) == len(view.ends)
        place = 0
        for begin, end in zip(view.begins, view.ends, strict=True):
            assert place <= begin < end <= len(text)
            place = end


@given(TEXT)
def test_text_without_tokens_stays_as_it_is(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize("piece", ["%25", "\\\\", "&amp;", "\x1b[0m", "%", "\\", "a" * 40 + "\n", "\u200b", "\\u0025"])
def test_no_noise_takes_long(piece: str) -> None:
    text = piece * (65_536 // len(piece)) + "token"
    began = time.process_time()
    redact_text(text)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    "spell",
    [
        lambda text: text.replace(" ", "\\040").replace('"', "\\042"),
        lambda text: text.replace(" ", "#040").replace('"', "#042"),
        "\x00".join,
        lambda text: text.replace(": ", ": ^[[32m") + "^[[0m",
        lambda text: text.replace(":", "\uff1a").replace('"', "\u201d"),
        lambda text: base64.b64encode(base64.b64encode(text.encode())).decode(),
    ],
    ids=["octal", "syslog", "utf-16", "colour", "full width", "base64 twice"],
)
def test_other_spellings_are_read_as_they_were_meant(spell: Callable[[str], str]) -> None:
    token = opaque()
    said = spell(f'{{"access_token": "{token}", "n": 7}}')
    clean = redact_text(f"upstream said {said} and so on")
    assert f"[token {ring().token_id(token)}]" in clean
    assert clean.startswith("upstream said ")
    assert clean.endswith(" and so on")


@pytest.mark.parametrize("between", ["\n# ", "\n2026-03-01 12:00:00 INFO | ", "' +\n'", "'\n      '"])
def test_what_stands_before_the_next_line_is_no_part_of_the_token(between: str) -> None:
    token = jwt()
    clean = redact_text(f"said 'Authorization: Bearer {token[:60]}{between}{token[60:]}' and so on")
    assert clean == f"said 'Authorization: Bearer [token {ring().token_id(token)}]' and so on"


@pytest.mark.parametrize(
    "text",
    [
        "token=7f3a9c1d2b\nnext request: /v1/orders",
        "refresh token expired\nretrying2 in 30 s",
        "first 'line' +\n'second' line2",
        'Traceback:\n  File "app/token_store.py", line 12\n    raise TokenError2',
    ],
)
def test_lines_that_only_follow_each_other_are_not_joined(text: str) -> None:
    token = opaque()
    assert (
        redact_text(f"{text}\ntoken={token}\nok") == f"{redact_text(text)}\ntoken=[token {ring().token_id(token)}]\nok"
    )


def test_lines_that_only_seem_to_belong_together_are_looked_at_apart_as_well() -> None:
    first, second = jwt(), opaque()
    clean = redact_text(f"got token {first}\n\x1b[32mrabbitmqctl add_user ci {second}\x1b[0m")
    assert not leaked(first, clean)
    assert not leaked(second, clean)
