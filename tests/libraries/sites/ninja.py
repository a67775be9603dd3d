"""An API on django-ninja whose authenticators check JWTs with PyJWT, watched by the two lines of settings alone.

Under ``/orders`` they return ``None`` for a token that will not do, and under ``/strict`` they raise from what was wrong
with it. Each is there once for threads and once awaited.
"""

from __future__ import annotations

from typing import Any

import django
import jwt
from django.conf import settings

from libraries.cases import Ask, NotThere
from libraries.jwts import AUDIENCE, ISSUER, SECRET, jwts

settings.configure(
    SECRET_KEY="of no use",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "bearerwatch.django"],
    MIDDLEWARE=["bearerwatch.django.Middleware", "django.middleware.common.CommonMiddleware"],
    USE_TZ=True,
)
django.setup()

from django.urls import path  # noqa: E402
from ninja import NinjaAPI  # noqa: E402
from ninja.errors import HttpError  # noqa: E402
from ninja.security import HttpBearer  # noqa: E402

WITHDRAWN = "9"


class InvalidTokenError(Exception):
    """A token that will not do."""


def decoded(token: str) -> dict[str, Any]:
    payload: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    return payload


def checked(token: str) -> dict[str, Any] | None:
    try:
        payload = decoded(token)
    except jwt.PyJWTError:
        return None
    return None if payload.get("jti") == WITHDRAWN else payload


class Bearer(HttpBearer):
    def authenticate(self, request: Any, token: str) -> Any:
        return checked(token)


class AwaitedBearer(HttpBearer):
    async def authenticate(self, request: Any, token: str) -> Any:
        return checked(token)


class StrictBearer(HttpBearer):
    def authenticate(self, request: Any, token: str) -> Any:
        try:
            payload = decoded(token)
        except jwt.PyJWTError as error:
            raise InvalidTokenError("That token will not do") from error
        if payload.get("jti") == WITHDRAWN:
            raise InvalidTokenError("That token was withdrawn")
        return payload


class AwaitedStrictBearer(StrictBearer):
    async def authenticate(self, request: Any, token: str) -> Any:
        return super().authenticate(request, token)


def listed(request: Any, owner: int | None = None) -> dict[str, list[str]]:
    if "read" not in request.auth.get("scope", "").split():
        raise HttpError(403, "Not within the scope")
    if owner is not None and str(owner) != request.auth["sub"]:
        raise HttpError(403, "Not yours")
    return {"orders": []}


def orders(request: Any) -> dict[str, list[str]]:
    return listed(request)


def orders_of(request: Any, owner: int) -> dict[str, list[str]]:
    return listed(request, owner)


async def orders_awaited(request: Any) -> dict[str, list[str]]:
    return listed(request)


async def orders_of_awaited(request: Any, owner: int) -> dict[str, list[str]]:
    return listed(request, owner)


api, awaited = NinjaAPI(), NinjaAPI(urls_namespace="awaited")
for each in (api, awaited):

    @each.exception_handler(InvalidTokenError)
    def refuse(request: Any, error: Exception, each: NinjaAPI = each) -> Any:
        return each.create_response(request, {"detail": str(error)}, status=401)


for prefix, bearer in (("", Bearer()), ("/strict", StrictBearer())):
    api.get(f"{prefix}/orders", auth=bearer)(orders)
    api.get(f"{prefix}/orders/of/{{int:owner}}", auth=bearer)(orders_of)
for prefix, bearer in (("", AwaitedBearer()), ("/strict", AwaitedStrictBearer())):
    awaited.get(f"{prefix}/orders", auth=bearer)(orders_awaited)
    awaited.get(f"{prefix}/orders/of/{{int:owner}}", auth=bearer)(orders_of_awaited)

urlpatterns = [path("awaited/", awaited.urls), path("", api.urls)]


def stacks() -> dict[str, tuple[str, Any]]:
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application

    asgi = get_asgi_application()

    async def below(scope: Any, receive: Any, send: Any) -> None:
        await asgi({**scope, "path": f"/awaited{scope['path']}"}, receive, send)

    return {"sync": ("wsgi", get_wsgi_application()), "async": ("asgi", below), "threads": ("asgi", asgi)}


def asks() -> dict[str, Ask | NotThere]:
    tokens = jwts(jti="7")
    good = tokens["success"]
    found: dict[str, Ask | NotThere] = {case: Ask.bearer(token) for case, token in tokens.items()}
    return found | {
        "none": Ask(),
        "wrong scheme": Ask.bearer("Ym9iOm9mIG5vIHVzZQ==", scheme="Basic"),
        "empty": Ask((("Authorization", "Bearer"),)),
        "revoked": Ask.bearer(jwts(jti=WITHDRAWN)["success"]),
        "another's object": Ask.bearer(good, "/orders/of/7"),
        "two tokens": Ask.bearer(good)._replace(query=f"access_token={tokens['bad signature']}"),
        "query token": Ask(query=f"access_token={good}"),
    }
