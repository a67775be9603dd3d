"""Flask-HTTPAuth."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from flask import Flask
from flask_httpauth import HTTPTokenAuth

from bearerwatch import _guard
from bearerwatch.event import AuthEvent
from bearerwatch.flask import Bearerwatch
from bearerwatch.integrations._start import start
from bearerwatch.integrations.flask import WatchedWsgi
from bearerwatch.testing.events import capture_events
from fakes import opaque
from libraries.cases import CASES, Cell, NotThere
from libraries.jwts import ISSUER
from libraries.matrix import check
from watched.drive import Request, serve_wsgi

NONE = "flask_httpauth.HTTPAuth.login_required: None of verify_token is 401, whatever the application has against the token"
ABORT = "flask.abort: has a status alone, and no kind of permission"

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
    "revoked": Cell("invalid", None, 401, subject=True, said=NONE),
    "too little scope": Cell("forbidden", "function_forbidden", 403, verified=True, subject=True),
    "another's object": Cell("forbidden", None, 403, verified=True, subject=True, said=ABORT),
    "success": Cell("success", None, 200, verified=True, subject=True),
    "two tokens": Cell("success", "multiple_tokens", 200, verified=True, subject=True),
    "query token": Cell("missing", "query_token", 401, subject=True),
}


@pytest.mark.parametrize("case", CASES)
def test_cell(case: str) -> None:
    check("flask_httpauth", EXPECTED, case, ISSUER)


OPAQUE = opaque(32)


def asked(found: object, *headers: tuple[str, str], query: str = "", own: str | None = None) -> AuthEvent:
    """The event of a request to a view that is called in any case, and has nothing there.

    Args:
        found: what ``verify_token`` returns.
        headers: those sent.
        query: likewise.
        own: the header that is read for the token instead of ``Authorization``.
    """
    app, auth = Flask(__name__), HTTPTokenAuth(header=own)
    auth.verify_token(lambda _token: found)
    auth.get_user_roles(lambda _user: ["reader"])

    @app.get("/orders")
    @auth.login_required(optional=True, role="admin")
    def orders() -> tuple[str, int]:
        return "", 404

    Bearerwatch(app, plain_subjects=True)
    with capture_events() as events:
        app.test_client().get("/orders", headers=list(headers), query_string=query)
    (event,) = events
    return event


@pytest.mark.parametrize(
    ("found", "subject"),
    [
        ("john", "john"),
        (SimpleNamespace(id=41), "41"),
        ({"username": "john", "id": 41}, "41"),
        (True, None),
        (OPAQUE, None),
    ],
)
def test_the_holder_is_what_was_returned_for_an_opaque_token_unless_that_is_the_token(
    found: object, subject: str | None
) -> None:
    event = asked(found, ("Authorization", f"Bearer {OPAQUE}"))
    assert (event.outcome, event.reason, event.verified, event.subject_id) == ("success", None, True, subject)


def test_where_authentication_is_optional_nobody_was_refused() -> None:
    assert asked(None, query=f"access_token={OPAQUE}").outcome == "success"


def test_a_key_in_a_header_of_its_own_does_not_vouch_for_a_token_beside_it() -> None:
    event = asked("john", ("X-API-Key", "a key"), ("Authorization", f"Bearer {OPAQUE}"), own="X-API-Key")
    assert (event.outcome, event.verified, event.subject_id) == ("success", False, None)


@pytest.mark.usefixtures("swallowing")
def test_a_user_that_cannot_be_read_is_served_all_the_same() -> None:
    class User:
        @property
        def id(self) -> int:
            raise RuntimeError("no database")

    assert asked(User(), ("Authorization", f"Bearer {OPAQUE}")).status == 404
    assert sum(_guard.counts().values()) == 1


def test_an_application_that_is_not_flask_is_not_asked() -> None:
    def app(_environ: object, start_response: Callable[..., object]) -> list[bytes]:
        start_response("200 OK", [])
        return [b""]

    watched = WatchedWsgi(app, start("app"))
    with capture_events() as events:
        seen = serve_wsgi(watched, Request("/", headers=[("Authorization", f"Bearer {OPAQUE}")]), events)
    assert (seen.raised, [event.outcome for event in events]) == (None, ["success"])
