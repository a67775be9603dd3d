"""Validators: what they take for a token, and what stands where one would and is none."""

from __future__ import annotations

import base64

import pytest

from bearerwatch.redact import gate, redact_text
from fakes import draw, opaque
from soak.rounds import pure


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    assert gate.PREFILTER.ready(), "the accel extra belongs to the test environment"


def clean(text: str) -> str:
    """*text* without its tokens, which is the same with Hyperscan and without, and once is enough."""
    cleaned = redact_text(text)
    with pure():
        assert redact_text(text) == cleaned
    assert redact_text(cleaned) == cleaned
    return cleaned


def mixed(length: int) -> str:
    return f"aB3{opaque(length - 3)}"


@pytest.mark.parametrize(
    "template", ["token={} ok=1", '{{"access_token": "{}"}}', "X-Api-Key: {}", "Authorization: {}"]
)
def test_a_bracket_in_a_token_makes_no_call_of_it(template: str) -> None:
    first, second = mixed(20), mixed(20)
    cleaned = clean(template.format(f"{first}({second})"))
    assert first not in cleaned
    assert second not in cleaned


@pytest.mark.parametrize(
    "call", ["getToken(user42)", "base64UrlDecodeV2(payload1)", "os.environ(KEY1)", "load_key_2(path)"]
)
@pytest.mark.parametrize("template", ["token={}", '{{"access_token": "{}"}}', "X-Api-Key: {}"])
def test_a_call_stays(template: str, call: str) -> None:
    assert clean(template.format(call)) == template.format(call)


@pytest.mark.parametrize("mask", ["***", "*****", "[REDACTED]", "[masked]"])
@pytest.mark.parametrize("word", ["was ", "is: ", "formerly ", "raw="])
def test_what_is_shown_behind_a_mask_goes(mask: str, word: str) -> None:
    secret = mixed(40)
    assert secret not in clean(f"Authorization: Bearer {mask} ({word}{secret})")


@pytest.mark.parametrize("said", ["(was refused)", "(is masked by policy)", "(was rejected-by-upstream)", "(3 tries)"])
def test_what_is_said_behind_a_mask_stays(said: str) -> None:
    assert clean(f"Authorization: Bearer *** {said}") == f"Authorization: Bearer *** {said}"


@pytest.mark.parametrize("template", ["the end is {}. Next", "/v1/callback/{}", "key_{}", "Bot {}", "a={}&b=1"])
def test_a_discord_bots_token_is_found_anywhere(template: str) -> None:
    number = base64.b64encode(str(draw.randrange(10**18, 2 * 10**18)).encode()).decode().rstrip("=")
    token = f"{number}.{opaque(6)}.{opaque(38)}"
    cleaned = clean(template.format(token))
    assert token[-20:] not in cleaned
    assert token[:20] not in cleaned


def test_file_names_and_versions_are_no_bots_tokens() -> None:
    for text in ("MTAbuilder.module.initialisation-of-everything", f"{draw.randbytes(13).hex()}.{'a' * 6}.{'b' * 30}"):
        assert clean(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "user=ada password={}correct",
        "<username>ada</username><password>{}kettle</password>",
        '<wsse:Password Type="#PasswordText">{}correct</wsse:Password>',
        "your password is {}-orange-winter-horse93",
    ],
)
def test_words_that_somebody_chose_go_where_nobody_would_write_prose(text: str) -> None:
    assert "[password]" in clean(text.format("pepper"))


@pytest.mark.parametrize(
    "text",
    [
        "password=incorrect",
        "password=notcorrect",
        "<password>required</password>",
        "<password>mustnotbeblank</password>",
        "<td>password</td><td>alphanumeric</td>",
        "password: alphanumeric",
        "your password is too-short-to-be-used1",
        "your password is pbkdf2-sha256",
        "password is check-your-mail-again99",
    ],
)
def test_what_is_said_of_a_password_stays(text: str) -> None:
    assert clean(text) == text
