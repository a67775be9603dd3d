"""Starlette's AuthenticationMiddleware and ``requires``, with a backend on PyJWT."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from bearerwatch.integrations.libraries.starlette__middleware__exceptions import _hearing_method
from libraries.cases import CASES, Cell, NotThere
from libraries.jwts import ISSUER
from libraries.matrix import check, played

EXPECTED: dict[str, Cell | NotThere] = {
    "none": Cell("missing", None, 403),
    "wrong scheme": Cell("missing", "wrong_scheme", 403),
    "empty": Cell("malformed", "empty_token", 401),
    "malformed": Cell("malformed", "bad_characters", 401),
    "bad signature": Cell("invalid", "bad_signature", 401, subject=True),
    "alg none": Cell("invalid", "alg_none", 401, subject=True),
    "unknown key": Cell("invalid", "bad_signature", 401, subject=True),
    "wrong issuer": Cell("invalid", "wrong_issuer", 401, verified=True),
    "wrong audience": Cell("invalid", "wrong_audience", 401, verified=True, subject=True),
    "not yet valid": Cell("invalid", "not_yet_valid", 401, verified=True, subject=True),
    "expired": Cell("expired", "past_exp", 401, verified=True, subject=True),
    "revoked": Cell(
        "invalid",
        None,
        401,
        verified=True,
        subject=True,
        said="starlette.authentication.AuthenticationError: has no reason but the text that the application gives it",
    ),
    "too little scope": Cell("insufficient_scope", None, 403, verified=True, subject=True),
    "another's object": Cell("forbidden", None, 403, verified=True, subject=True),
    "success": Cell("success", None, 200, verified=True, subject=True),
    "two tokens": Cell("success", "multiple_tokens", 200, verified=True, subject=True),
    "query token": Cell("missing", "query_token", 403, subject=True),
}


@pytest.mark.parametrize("case", CASES)
def test_cell(case: str) -> None:
    check("starlette_auth", EXPECTED, case, ISSUER)


@pytest.mark.parametrize("case", CASES)
def test_a_refusal_is_told_whatever_it_is_answered_with(case: str) -> None:
    """Without ``on_error`` it is 400, which is about the request and not the token."""
    expected = EXPECTED[case]
    assert isinstance(expected, Cell)
    status = 400 if expected.status == 401 else expected.status
    check("starlette_auth_unasked", {case: expected._replace(status=status)}, case, ISSUER)


@pytest.mark.parametrize(("case", "had"), [("success", "read"), ("too little scope", "nothing")])
def test_the_scopes_had_and_required_are_told(case: str, had: str) -> None:
    for stack, cases in played("starlette_auth").items():
        (event,) = cases[case]["events"]
        assert (event["scopes"], event["required_scopes"]) == (had, "authenticated read"), stack


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_what_answers_an_exception_may_be_a_coroutine_or_not(kind: str) -> None:
    """Starlette's own was none before 0.42, and to await what is none ends in a 500."""

    def at_once(_self: object, _request: object, error: Exception) -> str:
        return f"answered {error}"

    async def awaited(_self: object, _request: object, error: Exception) -> str:
        return f"answered {error}"

    hearing = _hearing_method(at_once if kind == "sync" else awaited)
    answer = hearing(None, SimpleNamespace(scope={}), ValueError("that"))
    assert (asyncio.run(answer) if kind == "async" else answer) == "answered that"
