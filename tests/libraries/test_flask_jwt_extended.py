"""Flask with Flask-JWT-Extended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from flask import Flask, request
from flask_jwt_extended import JWTManager, jwt_required

from bearerwatch.event import AuthEvent
from bearerwatch.flask import Bearerwatch
from bearerwatch.testing.events import capture_events
from libraries.cases import CASES, Cell, NotThere
from libraries.jwts import ISSUER, SECRET
from libraries.matrix import check
from libraries.versions import since
from watched.drive import Request, serve_wsgi

_OWN = "flask_jwt_extended.jwt_required: asks for no scope and knows no objects; the application answers 403 by itself"

EXPECTED: dict[str, Cell | NotThere] = {
    "none": Cell("missing", None, 401),
    "wrong scheme": Cell("missing", "wrong_scheme", 401),
    "empty": Cell("malformed", "empty_token", 422),
    "malformed": Cell("malformed", "bad_characters", 422),
    "bad signature": Cell("invalid", "bad_signature", 422, subject=True),
    "alg none": Cell("invalid", "alg_none", 422, subject=True),
    "unknown key": Cell("invalid", "bad_signature", 422, subject=True),
    "wrong issuer": Cell("invalid", "wrong_issuer", 422, verified=True),
    "wrong audience": Cell("invalid", "wrong_audience", 422, verified=True, subject=True),
    "not yet valid": Cell("invalid", "not_yet_valid", 422, verified=True, subject=True),
    "expired": Cell("expired", "past_exp", 401, verified=True, subject=True),
    "revoked": Cell("revoked", "blacklisted", 401, verified=True, subject=True),
    "too little scope": Cell("forbidden", None, 403, verified=True, subject=True, said=_OWN),
    "another's object": Cell("forbidden", None, 403, verified=True, subject=True, said=_OWN),
    "success": Cell("success", None, 200, verified=True, subject=True),
    "two tokens": Cell("success", "multiple_tokens", 200, verified=True, subject=True),
    "query token": Cell("missing", "query_token", 401, subject=True),
}


@pytest.mark.parametrize("case", CASES)
def test_cell(case: str) -> None:
    check("flask_jwt_extended", EXPECTED, case, ISSUER)


# -- refusals that only this library has ---------------------------------------------------------------


@pytest.fixture
def events() -> Iterator[list[AuthEvent]]:
    with capture_events() as caught:
        yield caught


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)
    app.config.update(JWT_SECRET_KEY=SECRET, JWT_IDENTITY_CLAIM="who", JWT_TOKEN_LOCATION=["headers", "cookies"])
    manager = JWTManager(app)
    manager.user_lookup_loader(lambda _header, claims: None if claims["who"] == "gone" else claims["who"])
    manager.token_verification_loader(lambda _header, claims: claims.get("tenant") != "another")

    def answer() -> dict[str, bool]:
        return {"done": True}

    app.add_url_rule("/orders", "orders", jwt_required()(answer), methods=["GET", "POST"])
    app.add_url_rule("/password", "password", jwt_required(fresh=True)(answer))
    app.add_url_rule("/refresh", "refresh", jwt_required(refresh=True)(answer))
    app.add_url_rule("/maybe", "maybe", jwt_required(optional=True)(answer))
    app.add_url_rule("/public", "public", answer)
    Bearerwatch(app)
    return app


Get = Callable[..., AuthEvent]


@pytest.fixture
def get(app: Flask, events: list[AuthEvent]) -> Get:
    """Sends a token of these claims, and gives its event."""

    def ask(path: str, *, scheme: str = "Bearer", **claims: Any) -> AuthEvent:
        token = jwt.encode({"who": "41", "exp": int(time.time()) + 60, "jti": "7"} | claims, SECRET, "HS256")
        serve_wsgi(app, Request(path, headers=[("Authorization", f"{scheme} {token}")]), events)
        return events.pop()

    return ask


def told(event: AuthEvent) -> tuple[str | None, str | None, bool, int | None]:
    return event.outcome, event.reason, event.verified, event.status


def test_a_token_of_the_wrong_type_or_age(get: Get) -> None:
    assert told(get("/orders", type="refresh")) == ("invalid", "wrong_type", True, 422)
    assert told(get("/refresh", type="access")) == ("invalid", "wrong_type", True, 422)
    assert told(get("/refresh", type="refresh")) == ("success", None, True, 200)
    assert told(get("/password", fresh=False)) == ("forbidden", "not_fresh", True, 401)
    assert told(get("/password", fresh=True)) == ("success", None, True, 200)


def test_claims_that_are_not_taken(get: Get) -> None:
    assert told(get("/orders", who="gone")) == ("invalid", "unknown_subject", True, 401)
    assert told(get("/orders", tenant="another")) == ("invalid", "bad_claim", True, 400)
    if since("PyJWT", "2.10"):  # which did not look at these before
        assert told(get("/orders", jti=7)) == ("invalid", "bad_claim", True, 422)
        assert told(get("/orders", sub=7)) == ("invalid", "bad_claim", True, 422)


def test_whose_it_is_said_to_be_by_the_claim_that_is_configured(app: Flask, get: Get) -> None:
    holder = get("/orders", scope="read", client_id="shop")
    assert holder.subject_id is not None
    assert (holder.scopes, holder.client_id) == ("read", "shop")
    assert get("/orders", exp=1).subject_id == get("/password").subject_id == holder.subject_id
    assert get("/orders", who="gone").subject_id not in (None, holder.subject_id)
    app.config["JWT_IDENTITY_CLAIM"] = "id"
    assert told(get("/orders")) == ("invalid", "missing_claim", True, 422)


def test_what_nobody_asked_for_is_not_verified(get: Get) -> None:
    assert told(get("/public")) == ("success", None, False, 200)
    assert told(get("/maybe", scheme="bearer")) == ("success", None, False, 200)  # it takes "Bearer" alone
    assert told(get("/maybe")) == ("success", None, True, 200)
    assert told(get("/orders", scheme="bearer")) == ("missing", "wrong_scheme", False, 401)


def test_what_it_calls_malformed(app: Flask, get: Get, events: list[AuthEvent]) -> None:
    app.config.update(JWT_TOKEN_LOCATION=["query_string"], JWT_QUERY_STRING_NAME="access_token")
    app.config["JWT_QUERY_STRING_VALUE_PREFIX"] = "Bearer "
    token = jwt.encode({"who": "41"}, SECRET, "HS256", {"crit": ["never-heard-of"], "never-heard-of": 1})
    serve_wsgi(app, Request("/orders", query=f"access_token={token}"), events)
    assert told(events.pop()) == ("malformed", "query_token", False, 422)
    if since("PyJWT", "2.12"):  # which did not look at ``crit`` before
        serve_wsgi(app, Request("/orders", query=f"access_token=Bearer%20{token}"), events)
        assert told(events.pop()) == ("invalid", "query_token", False, 422)
    app.config.update(JWT_TOKEN_LOCATION=["headers"], JWT_HEADER_TYPE="")
    assert told(get("/orders")) == ("malformed", None, False, 422)


def test_two_tokens_in_one_header_are_none_for_it(app: Flask, events: list[AuthEvent]) -> None:
    token = jwt.encode({"who": "41"}, SECRET, "HS256")
    header = ("Authorization", f"Bearer {token}, Bearer {token}")
    serve_wsgi(app, Request("/orders", headers=[header]), events)
    assert told(events[0]) == ("malformed", "multiple_tokens", False, 401)


def test_a_cookie_without_its_proof(app: Flask, events: list[AuthEvent]) -> None:
    token = jwt.encode({"who": "41", "csrf": "the one"}, SECRET, "HS256")
    cookie = ("Cookie", f"access_token_cookie={token}")
    serve_wsgi(app, Request("/orders", method="POST", headers=[cookie]), events)
    serve_wsgi(app, Request("/orders", method="POST", headers=[cookie, ("X-CSRF-TOKEN", "another")]), events)
    serve_wsgi(app, Request("/orders", method="POST", headers=[cookie, ("X-CSRF-TOKEN", "the one")]), events)
    assert [told(event)[:3] for event in events[:2]] == [
        ("forbidden", "csrf_failed", False),
        ("forbidden", "csrf_failed", True),
    ]
    assert events[2].status == 200


def test_an_application_beside_it_that_does_without_is_served_all_the_same(events: list[AuthEvent]) -> None:
    """The library is there, and its manager is not."""
    app = Flask(__name__)

    @app.get("/orders")
    def orders() -> str:
        jwt.decode(request.headers["Authorization"].split()[1], SECRET, ["HS256"])
        return ""

    Bearerwatch(app)
    token = jwt.encode({"sub": "41"}, SECRET, "HS256")
    assert serve_wsgi(app, Request("/orders", headers=[("Authorization", f"Bearer {token}")]), events).raised is None
    assert told(events.pop()) == ("success", None, True, 200)
