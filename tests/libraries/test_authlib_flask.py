"""Flask with Authlib's resource protector, opaque tokens."""

from __future__ import annotations

import pytest

from libraries.cases import CASES, Cell, NotThere
from libraries.matrix import check

_OWN = "authlib.integrations.flask_oauth2.ResourceProtector: knows no objects; the application answers 403 by itself"

EXPECTED: dict[str, Cell | NotThere] = {
    "none": Cell("missing", None, 401),
    "wrong scheme": Cell("missing", "wrong_scheme", 401),
    "empty": Cell("malformed", "empty_token", 401),
    "malformed": Cell("malformed", "bad_characters", 401),
    "bad signature": NotThere("an opaque token has no signature"),
    "alg none": NotThere("an opaque token has no header"),
    "unknown key": Cell("invalid", "unknown_token", 401),
    "wrong issuer": NotThere("an opaque token has no claims"),
    "wrong audience": NotThere("an opaque token has no claims"),
    "not yet valid": NotThere("an opaque token has no claims"),
    "expired": Cell("expired", "past_exp", 401, verified=True, subject=True),
    "revoked": Cell("revoked", "blacklisted", 401, verified=True, subject=True),
    "too little scope": Cell("insufficient_scope", None, 403, verified=True, subject=True),
    "another's object": Cell("forbidden", None, 403, verified=True, subject=True, said=_OWN),
    "success": Cell("success", None, 200, verified=True, subject=True),
    "two tokens": Cell("success", "multiple_tokens", 200, verified=True, subject=True),
    "query token": Cell("missing", "query_token", 401),
}


@pytest.mark.parametrize("case", CASES)
def test_cell(case: str) -> None:
    check("authlib_flask", EXPECTED, case)
