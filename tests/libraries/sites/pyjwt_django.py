"""Django views that check JWTs by themselves with PyJWT, and say no more than 401 of one that will not do."""

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
    DATABASES={},
    INSTALLED_APPS=["bearerwatch.django"],
    MIDDLEWARE=["bearerwatch.django.Middleware", "django.middleware.common.CommonMiddleware"],
    USE_TZ=True,
)
django.setup()

from django.http import HttpRequest, HttpResponse, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402

WITHDRAWN = "9"


def claims_of(request: HttpRequest) -> dict[str, Any] | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    try:
        claims: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    except jwt.InvalidTokenError:
        return None
    return None if claims.get("jti") == WITHDRAWN else claims


def orders(request: HttpRequest, owner: str | None = None) -> HttpResponse:
    claims = claims_of(request)
    if claims is None:
        return HttpResponse(status=401)
    if "read" not in claims["scope"].split() or owner not in (None, claims["sub"]):
        return HttpResponse(status=403)
    return JsonResponse({"orders": []})


async def orders_awaited(request: HttpRequest, owner: str | None = None) -> HttpResponse:
    return orders(request, owner)


urlpatterns = [
    path("orders", orders),
    path("orders/of/<owner>", orders),
    path("awaited/orders", orders_awaited),
    path("awaited/orders/of/<owner>", orders_awaited),
]


def stacks() -> dict[str, tuple[str, Any]]:
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application

    asgi = get_asgi_application()

    async def below(scope: Any, receive: Any, send: Any) -> None:
        await asgi({**scope, "path": f"/awaited{scope['path']}"}, receive, send)

    return {"sync": ("wsgi", get_wsgi_application()), "async": ("asgi", below)}


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
