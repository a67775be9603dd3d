"""Flask with Authlib's resource protector, JWTs as of RFC 9068."""

from __future__ import annotations

import pytest

from libraries.cases import CASES, Cell, NotThere
from libraries.jwts import ISSUER
from libraries.matrix import check
from libraries.versions import Before

_OWN = "authlib.integrations.flask_oauth2.ResourceProtector: knows no objects; the application answers 403 by itself"

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
    "revoked": NotThere("it asks nobody whether a JWT is withdrawn"),
    "too little scope": Cell("insufficient_scope", None, 403, verified=True, subject=True),
    "another's object": Cell("forbidden", None, 403, verified=True, subject=True, said=_OWN),
    "success": Cell("success", None, 200, verified=True, subject=True),
    "two tokens": Cell("success", "multiple_tokens", 200, verified=True, subject=True),
    "query token": Cell("missing", "query_token", 401, subject=True),
}
BEFORE = [
    Before(
        "Authlib",
        "1.7",
        "nobody catches what decoding raises",
        dict.fromkeys(("bad signature", "alg none", "unknown key"), Cell("error", None, 500, subject=True)),
    )
]


@pytest.mark.parametrize("case", CASES)
def test_cell(case: str) -> None:
    check("authlib_flask_jwt", EXPECTED, case, ISSUER, BEFORE)
