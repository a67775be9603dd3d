"""An API on Django whose JWTs Authlib's resource protector checks as RFC 9068 has it, watched by two settings alone."""

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
    INSTALLED_APPS=["bearerwatch.django"],
    MIDDLEWARE=["bearerwatch.django.Middleware"],
    USE_TZ=True,
)
django.setup()

from authlib.integrations.django_oauth2 import ResourceProtector  # noqa: E402
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator  # noqa: E402
from django.core.exceptions import PermissionDenied  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402

from libraries.authlib_keys import keys  # noqa: E402

KEYS = keys(**{"this-year": SECRET})


class Validator(JWTBearerTokenValidator):
    def get_jwks(self) -> Any:
        return KEYS


require_oauth = ResourceProtector()
require_oauth.register_token_validator(Validator(issuer=ISSUER, resource_server=AUDIENCE))


@require_oauth("read")
def orders(request: Any, owner: int = 41) -> JsonResponse:
    if str(owner) != request.oauth_token["sub"]:
        raise PermissionDenied
    return JsonResponse({"orders": []})


@require_oauth("read", groups="clerks")
def clerks(request: Any) -> JsonResponse:
    return JsonResponse({"orders": []})


urlpatterns = [path("orders", orders), path("orders/of/<int:owner>", orders), path("clerks", clerks)]


def stacks() -> dict[str, tuple[str, Any]]:
    from django.core.wsgi import get_wsgi_application

    return {"sync": ("wsgi", get_wsgi_application())}


def asks() -> dict[str, Ask | NotThere]:
    header = {"typ": "at+jwt", "kid": "this-year"}
    tokens = jwts(header, client_id="the-app", jti="7")
    good = tokens["success"]
    claims = jwt.decode(good, options={"verify_signature": False})
    found: dict[str, Ask | NotThere] = {case: Ask.bearer(token) for case, token in tokens.items()}
    return found | {
        "none": Ask(),
        "wrong scheme": Ask.bearer("Ym9iOm9mIG5vIHVzZQ==", scheme="Basic"),
        "empty": Ask((("Authorization", "Bearer"),)),
        "unknown key": Ask.bearer(jwt.encode(claims, SECRET, "HS256", header | {"kid": "next-year"})),
        "revoked": NotThere("it asks nobody whether a JWT is withdrawn"),
        "another's object": Ask.bearer(good, "/orders/of/7"),
        "two tokens": Ask.bearer(good)._replace(query=f"access_token={tokens['bad signature']}"),
        "query token": Ask(query=f"access_token={good}"),
        "wrong type": Ask.bearer(jwt.encode(claims, SECRET, "HS256", header | {"typ": "JWT"})),
        "missing group": Ask.bearer(good, "/clerks"),
    }
