"""Plain Django views with django-oauth-toolkit."""

from __future__ import annotations

import pytest

from libraries.cases import CASES, Cell, NotThere
from libraries.matrix import check, played
from libraries.test_oauth_toolkit import DELETED, UNSIGNED
from libraries.versions import Before

EXPECTED: dict[str, Cell | NotThere] = {
    "none": Cell("missing", None, 403),
    "wrong scheme": Cell("missing", "wrong_scheme", 403),
    "empty": Cell("malformed", "empty_token", 403),
    "malformed": Cell("malformed", "bad_characters", 403),
    "bad signature": UNSIGNED,
    "alg none": UNSIGNED,
    "unknown key": Cell("invalid", "unknown_token", 403),
    "wrong issuer": NotThere("an opaque token names no issuer"),
    "wrong audience": Cell("invalid", "wrong_audience", 403, verified=True),
    "not yet valid": NotThere("AccessToken has no date it is valid from"),
    "expired": Cell("expired", "past_exp", 403, verified=True),
    "revoked": Cell("invalid", "unknown_token", 403, said=DELETED),
    "too little scope": Cell("insufficient_scope", None, 403, verified=True),
    "another's object": Cell("forbidden", None, 403, verified=True, subject=True),
    "success": Cell("success", None, 200, verified=True, subject=True),
    "two tokens": Cell("malformed", "multiple_tokens", 403),
    "query token": Cell("missing", "query_token", 403),
}
BEFORE = [
    Before(
        "django-oauth-toolkit",
        "3.4",
        "tokens are of no audience, and taken from the query string",
        {
            "wrong audience": NotThere("AccessToken has no audience"),
            "two tokens": Cell("success", "multiple_tokens", 200, verified=True, subject=True),
            "query token": Cell("success", "query_token", 200, verified=True, subject=True),
        },
    )
]


@pytest.mark.parametrize("case", CASES)
def test_cell(case: str) -> None:
    check("oauth_toolkit_django", EXPECTED, case, before=BEFORE)


def test_the_client_and_the_scopes_are_known() -> None:
    cases = played("oauth_toolkit_django")["sync"]
    (event,) = cases["success"]["events"]
    assert (event["client_id"], event["scopes"], event["required_scopes"]) == ("the-app", "read orders", None)
    (event,) = cases["too little scope"]["events"]
    assert (event["client_id"], event["scopes"], event["required_scopes"]) == (None, None, "read orders")
