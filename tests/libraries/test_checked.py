"""What is heard of a check, where the application says no more than that a token was refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import joserfc.jwt
import jwt
import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Security
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer, SecurityScopes
from fastapi_users.authentication.strategy import Strategy
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser, requires
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bearerwatch.asgi import BearerwatchMiddleware
from bearerwatch.event import AuthEvent
from bearerwatch.testing.events import capture_events
from fakes import opaque
from libraries.jwts import AUDIENCE, SECRET, jwts
from libraries.sites.fastapi_users import User, application, get_jwt_strategy
from libraries.sites.fastapi_users_database import TOKENS, get_strategy
from watched.drive import Request as Asked
from watched.drive import serve_asgi

# ruff: noqa: B008, FAST002 - what is local cannot stand in an annotation that is a string

BEARER = HTTPBearer()
TRUSTED: dict[str, Any] = {"algorithms": ["HS256"], "audience": AUDIENCE}


def event_of(make: Callable[[], Any], token: str, **headers: str) -> AuthEvent:
    sent = [("Authorization", f"Bearer {token}"), *headers.items()]
    with capture_events() as events:
        serve_asgi(make(), Asked("/orders", headers=sent), events)
    (event,) = events
    return event


def told(event: AuthEvent) -> tuple[str | None, str | None, bool]:
    return event.outcome and event.outcome.value, event.reason, event.verified


def answering(check: Callable[[str], Any]) -> Callable[[], FastAPI]:
    """An application that answers by itself, without raising: 200 or a bare 401."""

    def make() -> FastAPI:
        app = FastAPI()
        app.add_middleware(BearerwatchMiddleware)

        @app.get("/orders")
        def orders(request: Request) -> JSONResponse:
            try:
                check(request.headers["Authorization"][7:])
            except jwt.PyJWTError:
                return JSONResponse({}, 401)
            return JSONResponse({})

        return app

    return make


def test_one_of_several_keys_that_fits_is_enough() -> None:
    def check(token: str) -> None:
        for key in (SECRET, opaque(48)):
            try:
                jwt.decode(token, key, **TRUSTED)
            except jwt.InvalidSignatureError:
                continue
            return

    assert told(event_of(answering(check), jwts()["success"])) == ("success", None, True)


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_keys_the_one_that_fits_says_what_is_wrong(order: int) -> None:
    def check(token: str) -> None:
        last = None
        for key in (SECRET, opaque(48))[::order]:
            try:
                return jwt.decode(token, key, **TRUSTED)
            except jwt.InvalidTokenError as error:
                last = error
        assert last is not None
        raise last

    assert told(event_of(answering(check), jwts()["wrong audience"])) == ("invalid", "wrong_audience", True)


def test_what_is_read_without_a_key_is_not_verified() -> None:
    def check(token: str) -> None:
        jwt.decode(token, options={"verify_signature": False})

    assert told(event_of(answering(check), jwts()["bad signature"])) == ("success", None, False)


def test_another_token_is_not_the_one_presented() -> None:
    own = jwts()["success"]

    def check(_token: str) -> None:
        jwt.decode(own, SECRET, **TRUSTED)

    assert told(event_of(answering(check), opaque(43))) == ("success", None, False)


def test_an_opaque_token_that_is_no_jwt_either_is_not_malformed() -> None:
    event = event_of(answering(lambda token: jwt.decode(token, SECRET, **TRUSTED)), opaque(43))
    assert told(event) == ("invalid", None, False)


def test_what_is_raised_from_none_still_has_a_cause() -> None:
    """Which linters ask for (B904), and which only tracebacks heed."""

    def make() -> FastAPI:
        app = FastAPI()
        app.add_middleware(BearerwatchMiddleware)

        @app.get("/orders")
        def orders(credentials: Any = Depends(BEARER)) -> None:
            try:
                token = joserfc.jwt.decode(credentials.credentials, OctKey.import_key(SECRET), algorithms=["HS256"])
                joserfc.jwt.JWTClaimsRegistry().validate(token.claims)
            except JoseError:
                raise HTTPException(401) from None

        return app

    assert told(event_of(make, jwts()["expired"])) == ("expired", "past_exp", True)
    assert told(event_of(make, jwts()["bad signature"])) == ("invalid", "bad_signature", False)


def scoped(status: int, detail: str, *, checks: bool) -> Callable[[], FastAPI]:
    def guard(scopes: SecurityScopes, credentials: Any = Depends(BEARER)) -> None:
        if checks:
            with suppress(jwt.PyJWTError):
                jwt.decode(credentials.credentials, SECRET, **TRUSTED)
        if scopes.scopes:
            raise HTTPException(status, detail)

    def make() -> FastAPI:
        app, router = FastAPI(), APIRouter()

        @router.get("/orders")
        def orders() -> None: ...

        app.include_router(router, dependencies=[Security(guard, scopes=["write"])])
        app.add_middleware(BearerwatchMiddleware)
        return app

    return make


@pytest.mark.parametrize(
    ("status", "detail", "checks", "expected"),
    [
        (401, "no", True, ("insufficient_scope", None, True)),
        (403, "no", True, ("insufficient_scope", None, True)),
        (403, "no", False, ("insufficient_scope", None, False)),
        (401, "Not enough permissions", False, ("insufficient_scope", None, False)),
        (401, "no", False, ("invalid", None, False)),
    ],
)
def test_a_scope_is_missing_where_that_is_known(status: int, detail: str, checks: bool, expected: Any) -> None:
    """A router that is included may ask for it; a 401 of an unknown check may be about anything."""
    event = event_of(scoped(status, detail, checks=checks), jwts()["success"])
    assert told(event) == expected
    assert event.required_scopes == "write"


def test_a_good_token_with_the_scope_was_refused_for_something_else() -> None:
    event = event_of(scoped(403, "no", checks=True), jwts(scope="read write")["success"])
    assert told(event) == ("forbidden", None, True)


def test_a_token_that_is_no_good_lacks_no_scope_whatever_the_application_says() -> None:
    event = event_of(scoped(401, "Not enough permissions", checks=True), jwts()["expired"])
    assert told(event) == ("expired", "past_exp", True)
    assert event.required_scopes == "write"


def test_a_user_who_is_closed_or_gone_is_told_from_a_bad_token() -> None:
    def make() -> FastAPI:
        return application("jwt", get_jwt_strategy)

    assert told(event_of(make, jwts(sub="7")["success"])) == ("invalid", "inactive_subject", True)
    assert told(event_of(make, jwts(sub="8")["success"])) == ("invalid", "unknown_subject", True)
    closed = event_of(lambda: application("database", get_strategy), TOKENS["closed"].token)
    assert told(closed) == ("invalid", "inactive_subject", True)


def test_a_strategy_of_ones_own_says_nothing_and_nothing_is_made_up() -> None:
    class Own(Strategy[User, int]):
        async def read_token(self, token: str | None, user_manager: Any) -> User | None:
            return None

    event = event_of(lambda: application("own", lambda: Own()), opaque(43))  # noqa: PLW0108 - a class asks for more
    assert told(event) == ("invalid", None, False)


def test_requires_without_a_user_is_about_the_token_if_one_came() -> None:
    """A backend that finds nothing to like in a token, and says so by finding nobody."""

    class Backend(AuthenticationBackend):
        async def authenticate(self, conn: Any) -> None:
            return None

    @requires("authenticated", status_code=404)
    async def orders(request: Any) -> PlainTextResponse:
        return PlainTextResponse("")

    def make() -> Starlette:
        return Starlette(
            routes=[Route("/orders", orders)],
            middleware=[Middleware(BearerwatchMiddleware), Middleware(AuthenticationMiddleware, backend=Backend())],
        )

    event = event_of(make, opaque(43))
    assert (told(event), event.status) == (("invalid", None, False), 404)


@pytest.mark.parametrize(("cookie", "verified"), [(None, True), ("session=of-bob", False)])
@pytest.mark.parametrize("asked", ["read", "write"])
def test_the_user_of_a_session_vouches_for_no_token(cookie: str | None, verified: bool, asked: str) -> None:
    class Backend(AuthenticationBackend):
        async def authenticate(self, conn: Any) -> Any:
            return AuthCredentials(["authenticated", "read"]), SimpleUser("bob")

    @requires(asked)
    async def orders(request: Any) -> PlainTextResponse:
        return PlainTextResponse("")

    def make() -> Starlette:
        return Starlette(
            routes=[Route("/orders", orders)],
            middleware=[Middleware(BearerwatchMiddleware), Middleware(AuthenticationMiddleware, backend=Backend())],
        )

    event = event_of(make, opaque(43), **({} if cookie is None else {"Cookie": cookie}))
    assert told(event) == ("success" if asked == "read" else "insufficient_scope", None, verified)
    assert (event.subject_id is not None) is verified
    assert event.scopes == ("read" if verified else None)
    assert event.required_scopes == asked
