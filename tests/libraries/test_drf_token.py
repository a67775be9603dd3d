"""Django REST framework's own TokenAuthentication."""

from __future__ import annotations

import pytest

from bearerwatch.fingerprint import KeyRing
from libraries.cases import CASES, Cell, NotThere
from libraries.matrix import KEY, check, played

NOT_SIGNED = NotThere("its tokens are opaque: nothing is signed")
NO_CLAIMS = NotThere("its tokens are opaque: they claim nothing")

EXPECTED: dict[str, Cell | NotThere] = {
    "none": Cell("missing", None, 401),
    "wrong scheme": Cell("missing", "wrong_scheme", 401),
    "empty": Cell("malformed", "empty_token", 401),
    "malformed": Cell("malformed", "bad_characters", 401),
    "bad signature": NOT_SIGNED,
    "alg none": NOT_SIGNED,
    "unknown key": Cell("invalid", "unknown_token", 401),
    "wrong issuer": NO_CLAIMS,
    "wrong audience": NO_CLAIMS,
    "not yet valid": NO_CLAIMS,
    "expired": NotThere("its tokens have no end"),
    "revoked": Cell(
        "invalid",
        "unknown_token",
        401,
        said="rest_framework.authentication.TokenAuthentication.authenticate_credentials: a token is withdrawn by "
        "deleting it, and one that was deleted is looked up like one that nobody issued",
    ),
    "too little scope": NotThere("its tokens have no scopes"),
    "another's object": Cell("forbidden", "object_forbidden", 403, verified=True, subject=True),
    "success": Cell("success", None, 200, verified=True, subject=True),
    "two tokens": Cell("success", "multiple_tokens", 200, verified=True, subject=True),
    "query token": Cell("missing", "query_token", 401),
}


@pytest.mark.parametrize("case", CASES)
def test_cell(case: str) -> None:
    check("drf_token", EXPECTED, case)


@pytest.mark.parametrize(
    ("case", "status", "outcome", "reason", "verified", "holder"),
    [
        ("with a space", 401, "malformed", "bad_characters", False, None),
        ("another's function", 403, "forbidden", "function_forbidden", True, "41"),
        ("a closed account", 401, "invalid", "inactive_subject", True, "43"),
        ("/unasked", 403, "forbidden", None, False, None),
        ("/over", 401, "expired", "past_exp", False, None),
        ("/revoked", 401, "revoked", None, False, None),
        ("/nobodys", 401, "invalid", "unknown_subject", False, None),
        ("/past", 403, "expired", "past_exp", True, None),
        ("/step-up", 403, "forbidden", "function_forbidden", True, "41"),
        ("/anew", 401, "invalid", None, False, None),
    ],
)
def test_what_the_matrix_has_no_row_for(
    case: str, status: int, outcome: str, reason: str, verified: bool, holder: str | None
) -> None:
    """Paths are views with authenticators and permissions of a project's own."""
    subject = None if holder is None else KeyRing([KEY.encode()]).pseudonym("sub", f"\0{holder}")
    for stack, cases in played("drf_token").items():
        (event,) = cases[case]["events"]
        assert (event["status"], event["outcome"], event["reason"]) == (status, outcome, reason), stack
        assert (event["verified"], event["subject_id"]) == (verified, subject), stack
