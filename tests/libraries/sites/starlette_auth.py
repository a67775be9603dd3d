"""APIs on Starlette's AuthenticationMiddleware, with a backend that checks by PyJWT."""

from __future__ import annotations

from typing import Any

import jwt
from starlette.applications import Starlette
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    SimpleUser,
    requires,
)
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bearerwatch.asgi import BearerwatchMiddleware
from libraries.cases import Ask, NotThere
from libraries.jwts import AUDIENCE, ISSUER, SECRET, jwts

REVOKED = {"of a session that was ended"}


class Backend(AuthenticationBackend):
    async def authenticate(self, conn: Any) -> Any:
        scheme, _, token = conn.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            claims = jwt.decode(token, SECRET, algorithms=["HS256"], audience=AUDIENCE, issuer=ISSUER)
        except jwt.InvalidTokenError as error:
            raise AuthenticationError("Invalid token") from error
        if claims.get("jti") in REVOKED:
            raise AuthenticationError("Revoked token")
        return AuthCredentials(["authenticated", *claims["scope"].split()]), SimpleUser(claims["sub"])


def on_error(_request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, 401)


@requires(["authenticated", "read"])
def orders(request: Request) -> JSONResponse:
    return JSONResponse({"orders": []})


@requires(["authenticated", "read"])
async def orders_async(request: Request) -> JSONResponse:
    return JSONResponse({"orders": []})


@requires(["authenticated", "read"])
async def orders_of(request: Request) -> JSONResponse:
    if request.path_params["owner"] != request.user.display_name:  # an older SimpleUser has no identity
        raise HTTPException(403)
    return JSONResponse({"orders": []})


def application(endpoint: Any, **refusing: Any) -> Starlette:
    return Starlette(
        routes=[Route("/orders", endpoint), Route("/orders/of/{owner}", orders_of)],
        middleware=[
            Middleware(BearerwatchMiddleware),
            Middleware(AuthenticationMiddleware, backend=Backend(), **refusing),
        ],
    )


def stacks() -> dict[str, tuple[str, Any]]:
    return {
        "sync": ("asgi", application(orders, on_error=on_error)),
        "async": ("asgi", application(orders_async, on_error=on_error)),
    }


def asks() -> dict[str, Ask | NotThere]:
    tokens = jwts()
    good = tokens["success"]
    found: dict[str, Ask | NotThere] = {case: Ask.bearer(token) for case, token in tokens.items()}
    return found | {
        "none": Ask(),
        "wrong scheme": Ask.bearer("Ym9iOm9mIG5vIHVzZQ==", scheme="Basic"),
        "empty": Ask((("Authorization", "Bearer"),)),
        "revoked": Ask.bearer(jwts(jti=min(REVOKED))["success"]),
        "another's object": Ask.bearer(good, "/orders/of/7"),
        "two tokens": Ask.bearer(good)._replace(query=f"access_token={tokens['bad signature']}"),
        "query token": Ask(query=f"access_token={good}"),
    }
