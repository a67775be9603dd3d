"""fastapi-users with its database strategy."""

from __future__ import annotations

import pytest

from libraries.cases import CASES, Cell, NotThere
from libraries.matrix import check

OPAQUE = NotThere("an opaque token has nothing to check but whether it is known")
READ = "fastapi_users.authentication.strategy.DatabaseStrategy.read_token:"

EXPECTED: dict[str, Cell | NotThere] = {
    "none": Cell("missing", None, 401),
    "wrong scheme": Cell("missing", "wrong_scheme", 401),
    "empty": Cell("malformed", "empty_token", 401),
    "malformed": Cell("malformed", "bad_characters", 401),
    "bad signature": OPAQUE,
    "alg none": OPAQUE,
    "unknown key": Cell("invalid", "unknown_token", 401),
    "wrong issuer": OPAQUE,
    "wrong audience": OPAQUE,
    "not yet valid": OPAQUE,
    "expired": Cell(
        "invalid", "unknown_token", 401, said=f"{READ} asks for tokens that are young enough, and so finds no old one"
    ),
    "revoked": Cell(
        "invalid", "unknown_token", 401, said=f"{READ} a token that was destroyed is no longer in the database"
    ),
    "too little scope": Cell("forbidden", "function_forbidden", 403, verified=True, subject=True),
    "another's object": Cell("forbidden", None, 403, verified=True, subject=True),
    "success": Cell("success", None, 200, verified=True, subject=True),
    "two tokens": Cell("success", "multiple_tokens", 200, verified=True, subject=True),
    "query token": Cell("missing", "query_token", 401),
}


@pytest.mark.parametrize("case", CASES)
def test_cell(case: str) -> None:
    check("fastapi_users_database", EXPECTED, case)
