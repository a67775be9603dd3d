"""Django REST framework with django-oauth-toolkit."""

from __future__ import annotations

import pytest

from libraries.cases import CASES, Cell, NotThere
from libraries.matrix import check, played
from libraries.versions import Before

DELETED = "oauth2_provider.models.AbstractAccessToken.revoke: deletes the token, so that there is none such"
UNSIGNED = NotThere("an opaque token has no signature")
EXPECTED: dict[str, Cell | NotThere] = {
    "none": Cell("missing", None, 401),
    "wrong scheme": Cell("missing", "wrong_scheme", 401),
    "empty": Cell("malformed", "empty_token", 401),
    "malformed": Cell("malformed", "bad_characters", 401),
    "bad signature": UNSIGNED,
    "alg none": UNSIGNED,
    "unknown key": Cell("invalid", "unknown_token", 401),
    "wrong issuer": NotThere("an opaque token names no issuer"),
    "wrong audience": Cell("invalid", "wrong_audience", 401, verified=True),
    "not yet valid": NotThere("AccessToken has no date it is valid from"),
    "expired": Cell("expired", "past_exp", 401, verified=True),
    "revoked": Cell("invalid", "unknown_token", 401, said=DELETED),
    "too little scope": Cell("insufficient_scope", None, 403, verified=True, subject=True),
    "another's object": Cell("forbidden", "object_forbidden", 403, verified=True, subject=True),
    "success": Cell("success", None, 200, verified=True, subject=True),
    "two tokens": Cell("success", "multiple_tokens", 200, verified=True, subject=True),
    "query token": Cell("success", "query_token", 200, verified=True, subject=True),
}
BEFORE = [
    Before(
        "django-oauth-toolkit",
        "3.4",
        "tokens are of no audience",
        {"wrong audience": NotThere("AccessToken has no audience")},
    )
]


@pytest.mark.parametrize("case", CASES)
def test_cell(case: str) -> None:
    check("oauth_toolkit", EXPECTED, case, before=BEFORE)


def test_the_client_and_the_scopes_are_known() -> None:
    cases = played("oauth_toolkit")["sync"]
    (event,) = cases["success"]["events"]
    assert (event["client_id"], event["scopes"], event["required_scopes"]) == ("the-app", "read orders", None)
    (event,) = cases["too little scope"]["events"]
    assert (event["client_id"], event["scopes"], event["required_scopes"]) == ("the-app", "read", "orders read")


@pytest.mark.parametrize(
    ("name", "outcome", "reason", "required"),
    [
        ("staff-or-scope", "insufficient_scope", None, "write"),
        ("staff-and-scope", "forbidden", "function_forbidden", None),  # it is not the scope that was asked for
        ("session-or-scope", "insufficient_scope", None, "write"),
        ("described", "insufficient_scope", None, None),  # there are several ways to be let in
    ],
)
def test_the_permission_that_refused_is_told(name: str, outcome: str, reason: str | None, required: str | None) -> None:
    (event,) = played("oauth_toolkit")["sync"][name]["events"]
    assert (event["outcome"], event["reason"], event["required_scopes"]) == (outcome, reason, required)


def test_a_credential_of_two_words_is_malformed() -> None:
    (event,) = played("oauth_toolkit")["sync"]["two words"]["events"]
    assert (event["outcome"], event["reason"]) == ("malformed", "bad_characters")
