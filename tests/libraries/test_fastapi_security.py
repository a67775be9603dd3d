"""FastAPI's security utilities (OAuth2PasswordBearer, HTTPBearer, SecurityScopes) with PyJWT."""

from __future__ import annotations

import pytest

from libraries.cases import CASES, Cell, NotThere
from libraries.jwts import ISSUER
from libraries.matrix import check, played
from libraries.versions import Before

EXPECTED: dict[str, Cell | NotThere] = {
    "none": Cell("missing", None, 401),
    "wrong scheme": Cell("missing", "wrong_scheme", 401),
    "empty": Cell("malformed", "empty_token", 401),
    "malformed": Cell("malformed", "bad_characters", 401),
    "bad signature": Cell("invalid", "bad_signature", 401, subject=True),
    "alg none": Cell("invalid", "alg_none", 401, subject=True),
    "unknown key": Cell("invalid", "bad_signature", 401, subject=True),
    "wrong issuer": Cell("invalid", "wrong_issuer", 401, verified=True),
    "wrong audience": Cell("invalid", "wrong_audience", 401, verified=True, subject=True),
    "not yet valid": Cell("invalid", "not_yet_valid", 401, verified=True, subject=True),
    "expired": Cell("expired", "past_exp", 401, verified=True, subject=True),
    "revoked": Cell("revoked", None, 401, verified=True, subject=True),
    "too little scope": Cell("insufficient_scope", None, 401, verified=True, subject=True),
    "another's object": Cell("forbidden", None, 403, verified=True, subject=True),
    "success": Cell("success", None, 200, verified=True, subject=True),
    "two tokens": Cell("success", "multiple_tokens", 200, verified=True, subject=True),
    "query token": Cell("missing", "query_token", 401, subject=True),
}
BEFORE = [
    Before(
        "fastapi",
        "0.122",
        "`HTTPBearer` answers 403 where nothing came for it",
        {
            "none": Cell("missing", None, 403),
            "wrong scheme": Cell("missing", "wrong_scheme", 403),
            "empty": Cell("malformed", "empty_token", 403),
            "query token": Cell("missing", "query_token", 403, subject=True),
        },
        stacks="bearer",
    ),
]


@pytest.mark.parametrize("case", CASES)
def test_cell(case: str) -> None:
    check("fastapi_security", EXPECTED, case, ISSUER, BEFORE)


@pytest.mark.parametrize(("case", "had"), [("success", "read"), ("too little scope", "nothing")])
def test_the_scopes_had_and_required_are_told(case: str, had: str) -> None:
    for stack, cases in played("fastapi_security").items():
        (event,) = cases[case]["events"]
        assert (event["scopes"], event["required_scopes"]) == (had, "read"), stack
