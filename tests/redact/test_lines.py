"""Texts of several lines: what other lines say changes nothing about a secret, and a line that is folded parts none."""

from __future__ import annotations

import pytest

from bearerwatch.redact import gate, redact_text
from fakes import draw, jwt, leaked
from soak.rounds import pure, spent


@pytest.fixture(autouse=True)
def compiled() -> None:
    assert gate.PREFILTER.ready(), "the accel extra belongs to the test environment"


def clean(text: str) -> str:
    """*text* without its tokens, which is the same with Hyperscan and without, and once is enough."""
    cleaned = redact_text(text)
    with pure():
        assert redact_text(text) == cleaned
    assert redact_text(cleaned) == cleaned
    return cleaned


@pytest.mark.parametrize("cut", [5, 6, 7])
@pytest.mark.parametrize("fold", ["\n  ", "\r\n ", "\\r\\n'\n     ' '\n     '"])
def test_a_header_that_was_folded_amid_its_token_loses_all_of_it(cut: int, fold: str) -> None:
    token = jwt()
    cleaned = clean(f"Authorization: {token[:cut]}{fold}{token[cut:]}\n")
    assert not leaked(token[cut:], cleaned)
    assert token[:cut] not in cleaned


def test_a_scheme_that_nobody_knows_stays_and_so_does_one_before_a_folded_line() -> None:
    token = jwt()
    assert clean(f"Authorization: Sesame {token}").startswith("Authorization: Sesame [token ")
    assert clean(f"Authorization: Sesame\n  {token}").startswith("Authorization: Sesame\n  [token ")


@pytest.mark.parametrize("before", ["", "x-api-key: %s\n", "paid %s of %s\nname = %s\n", "really?\n"])
def test_marks_in_lines_before_a_statement_are_no_parameters_of_it(before: str) -> None:
    secret = draw.randbytes(20).hex()
    statement = f"SELECT * FROM oauth2_accesstoken WHERE id = %s AND token = %s; params=(7, '{secret}')"
    cleaned = clean(before + statement)
    assert secret not in cleaned
    assert cleaned.startswith(f"{before}SELECT * FROM oauth2_accesstoken WHERE id = %s AND token = %s; params=(7, '[")


def test_a_statement_whose_parameters_were_cut_off_loses_those_that_are_left() -> None:
    secret = draw.randbytes(20).hex()
    cleaned = clean(f"UPDATE t SET token = %s, name = %s, n = %s WHERE id = %s; args=('{secret}', 'Ada")
    assert secret not in cleaned
    assert "'Ada" in cleaned


def test_a_long_run_elsewhere_does_not_make_a_token_of_what_has_none() -> None:
    path = "/verify/a-b=c-d=e-f=g-h=i-j=k-l=m-n=o-p=q"
    assert clean(path) == path
    assert clean(f"{path} of {draw.randbytes(16).hex()}").startswith(f"{path} of ")


def test_a_token_of_kubernetes_needs_no_long_run() -> None:
    token = "/".join(draw.randbytes(6).hex() for _ in range(4))
    assert token not in clean(f"protocol base64url.bearer.authorization.k8s.io.{token} spoken")


def test_marks_over_and_over_without_a_long_run_are_looked_at_once() -> None:
    text = "/api/webhooks/111111111111111/" * 3000 + f" of {draw.randbytes(16).hex()}"
    assert spent(lambda: redact_text(text)) < 1  # second
