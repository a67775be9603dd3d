"""Django REST framework with django-oauth-toolkit, tokens introspected elsewhere."""

from __future__ import annotations

import pytest

from libraries.cases import CASES, Cell, NotThere
from libraries.matrix import check, played
from libraries.test_oauth_toolkit import UNSIGNED
from libraries.versions import Before

INACTIVE = (
    "oauth2_provider.oauth2_validators.OAuth2Validator._get_token_from_authentication_server: returns None of a token "
    "that is not active, whyever, and where no answer came"
)
REFUSED = Cell("invalid", None, 401, said=INACTIVE)
EXPECTED: dict[str, Cell | NotThere] = {
    "none": Cell("missing", None, 401),
    "wrong scheme": Cell("missing", "wrong_scheme", 401),
    "empty": Cell("malformed", "empty_token", 401),
    "malformed": Cell("malformed", "bad_characters", 401),
    "bad signature": UNSIGNED,
    "alg none": UNSIGNED,
    "unknown key": REFUSED,
    "wrong issuer": NotThere("the issuer that is asked is the only one"),
    "wrong audience": Cell("invalid", "wrong_audience", 401, verified=True),
    "not yet valid": REFUSED,
    "expired": REFUSED,
    "revoked": REFUSED,
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
        "nobody looks whom a token is for",
        {"wrong audience": Cell("success", None, 200, verified=True, subject=True)},
    )
]


@pytest.mark.parametrize("case", CASES)
def test_cell(case: str) -> None:
    check("oauth_toolkit_asking", EXPECTED, case, before=BEFORE)


def test_what_the_token_lacks_is_known() -> None:
    (event,) = played("oauth_toolkit_asking")["sync"]["too little scope"]["events"]
    assert (event["client_id"], event["scopes"], event["required_scopes"]) == (None, "write", "read")
