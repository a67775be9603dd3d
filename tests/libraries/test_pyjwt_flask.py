"""Flask views that check JWTs by themselves with PyJWT."""

from __future__ import annotations

import pytest

from libraries.cases import CASES, Cell, NotThere
from libraries.jwts import ISSUER
from libraries.matrix import check

ABORT = "flask.abort: has a status alone; what the application has against a good token is nowhere said"
QUERY = "flask.Request.args: does not tell whether anybody looked there for a token"

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
    "revoked": Cell("invalid", None, 401, subject=True, said=ABORT),
    "too little scope": Cell("forbidden", None, 403, verified=True, subject=True, said=ABORT),
    "another's object": Cell("forbidden", None, 403, verified=True, subject=True, said=ABORT),
    "success": Cell("success", None, 200, verified=True, subject=True),
    "two tokens": Cell("success", "multiple_tokens", 200, verified=True, subject=True),
    "query token": Cell("invalid", "query_token", 401, subject=True, said=QUERY),
}


@pytest.mark.parametrize("case", CASES)
def test_cell(case: str) -> None:
    check("pyjwt_flask", EXPECTED, case, ISSUER)
