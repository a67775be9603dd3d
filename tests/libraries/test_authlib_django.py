"""Django with Authlib's resource protector, tokens in a table."""

from __future__ import annotations

import pytest

from libraries.cases import CASES, Cell, NotThere
from libraries.matrix import check, played

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
    "wrong audience": NotThere("TokenMixin has no audience"),
    "not yet valid": NotThere("TokenMixin has no date it is valid from"),
    "expired": Cell("expired", "past_exp", 401, verified=True, subject=True),
    "revoked": Cell("revoked", "blacklisted", 401, verified=True, subject=True),
    "too little scope": Cell("insufficient_scope", None, 403, verified=True, subject=True),
    "another's object": Cell("forbidden", None, 403, verified=True, subject=True),
    "success": Cell("success", None, 200, verified=True, subject=True),
    "two tokens": Cell("success", "multiple_tokens", 200, verified=True, subject=True),
    "query token": Cell("missing", "query_token", 401),
}


@pytest.mark.parametrize("case", CASES)
def test_cell(case: str) -> None:
    check("authlib_django", EXPECTED, case)


def test_the_client_and_the_scopes_are_known() -> None:
    cases = played("authlib_django")["sync"]
    (event,) = cases["success"]["events"]
    assert (event["client_id"], event["scopes"], event["required_scopes"]) == ("the-app", "read", None)
    (event,) = cases["too little scope"]["events"]
    assert (event["client_id"], event["scopes"], event["required_scopes"]) == ("the-app", "write", "read")


def test_of_several_ways_to_be_let_in_none_is_said_to_be_required() -> None:
    (event,) = played("authlib_django")["sync"]["one of several scopes"]["events"]
    assert (event["outcome"], event["scopes"], event["required_scopes"]) == ("insufficient_scope", "read", None)


def test_without_a_token_where_none_is_needed_is_anonymous() -> None:
    (event,) = played("authlib_django")["sync"]["public"]["events"]
    assert (event["outcome"], event["status"]) == ("anonymous", 200)


def test_what_introspection_says_is_known() -> None:
    cases = played("authlib_django")["sync"]
    (event,) = cases["active"]["events"]
    assert (event["outcome"], event["verified"], event["client_id"], event["scopes"]) == (
        "success",
        True,
        "the-app",
        "read",
    )
    (event,) = cases["inactive"]["events"]
    assert (event["outcome"], event["reason"], event["verified"]) == ("invalid", "inactive", False)
