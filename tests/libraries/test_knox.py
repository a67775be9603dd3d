"""django-rest-knox."""

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
    "expired": Cell(
        "expired",
        "past_exp",
        401,
        said="knox.auth.TokenAuthentication.authenticate_credentials: what has expired is found by the characters it "
        "begins with and deleted before its digest is compared, so that whose it is is not established; presented "
        "again, or after another token of its holder, nobody knows it",
    ),
    "revoked": Cell(
        "invalid",
        "unknown_token",
        401,
        said="knox.views.LogoutView.post: a token is withdrawn by deleting it, and one that was deleted is looked up "
        "like one that nobody issued",
    ),
    "too little scope": NotThere("its tokens have no scopes"),
    "another's object": Cell("forbidden", "object_forbidden", 403, verified=True, subject=True),
    "success": Cell("success", None, 200, verified=True, subject=True),
    "two tokens": Cell("success", "multiple_tokens", 200, verified=True, subject=True),
    "query token": Cell("missing", "query_token", 401),
}


@pytest.mark.parametrize("case", CASES)
def test_cell(case: str) -> None:
    check("knox", EXPECTED, case)


def test_what_has_expired_is_known_once() -> None:
    """Knox has deleted it then. The site puts it back for the asynchronous stack alone."""
    (event,) = played("knox")["sync"]["expired, and presented again"]["events"]
    assert (event["outcome"], event["reason"]) == ("invalid", "unknown_token")


def test_that_another_token_of_the_holder_is_cleared_away_says_nothing_of_the_one_presented() -> None:
    """Knox sends its signal for both. The one presented begins like a good one, and that is how far it is known."""
    for stack, cases in played("knox").items():
        (event,) = cases["another end"]["events"]
        assert (event["status"], event["outcome"], event["reason"]) == (401, "invalid", "unknown_token"), stack
        assert (event["verified"], event["subject_id"]) == (False, None), stack


def test_whose_the_token_of_a_closed_account_is_is_known() -> None:
    subject = KeyRing([KEY.encode()]).pseudonym("sub", "\00043")
    for stack, cases in played("knox").items():
        (event,) = cases["a closed account"]["events"]
        assert (event["status"], event["outcome"], event["reason"]) == (401, "invalid", "inactive_subject"), stack
        assert (event["verified"], event["subject_id"]) == (True, subject), stack
