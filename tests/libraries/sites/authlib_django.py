"""An API on Django with Authlib's resource protector and tokens in a table, watched by two settings alone."""

from __future__ import annotations

import time
from typing import Any

import django
from django.conf import settings

from fakes import opaque
from libraries.cases import Ask, NotThere

settings.configure(
    SECRET_KEY="of no use",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "bearerwatch.django"],
    MIDDLEWARE=["bearerwatch.django.Middleware"],
    USE_TZ=True,
)
django.setup()

from authlib.integrations.django_oauth2 import BearerTokenValidator, ResourceProtector  # noqa: E402
from authlib.oauth2.rfc6749 import TokenMixin  # noqa: E402
from authlib.oauth2.rfc7662 import IntrospectTokenValidator  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.exceptions import PermissionDenied  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402


class OAuth2Token(models.Model, TokenMixin):  # noqa: DJ008
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    client_id = models.CharField(max_length=48)
    access_token = models.CharField(max_length=255, unique=True)
    scope = models.TextField(default="")
    revoked = models.BooleanField(default=False)
    expires_at = models.IntegerField()

    class Meta:
        app_label = "orders"

    def get_scope(self) -> Any:
        return self.scope

    def is_expired(self) -> bool:
        return bool(self.expires_at < time.time())

    def is_revoked(self) -> Any:
        return self.revoked


require_oauth = ResourceProtector()
require_oauth.register_token_validator(BearerTokenValidator(OAuth2Token))


@require_oauth("read")
def orders(request: Any, owner: int = 41) -> JsonResponse:
    if owner != request.oauth_token.user_id:
        raise PermissionDenied
    return JsonResponse({"orders": []})


@require_oauth(["read write", "all"])
def change(request: Any) -> JsonResponse:
    return JsonResponse({})


@require_oauth("read", optional=True)
def public(request: Any) -> JsonResponse:
    return JsonResponse({})


class Asking(IntrospectTokenValidator):
    """Asks the server that issued the token: here, what it would answer."""

    def introspect_token(self, token_string: str) -> dict[str, Any]:
        if not token_string.startswith("active"):
            return {"active": False}
        return {"active": True, "sub": "41", "client_id": "the-app", "scope": "read"}


ask_elsewhere = ResourceProtector()
ask_elsewhere.register_token_validator(Asking())


@ask_elsewhere(scopes="read")
def introspected(request: Any) -> JsonResponse:
    return JsonResponse({})


urlpatterns = [
    path("introspected", introspected),
    path("orders", orders),
    path("orders/of/<int:owner>", orders),
    path("change", change),
    path("public", public),
]


def stacks() -> dict[str, tuple[str, Any]]:
    from django.core.wsgi import get_wsgi_application

    call_command("migrate", verbosity=0)
    with connection.schema_editor() as editor:
        editor.create_model(OAuth2Token)
    User.objects.create(pk=41, username="bob")
    return {"sync": ("wsgi", get_wsgi_application())}


def issued(scope: str = "read", seconds: int = 600, **more: Any) -> str:
    token = opaque(30)
    OAuth2Token.objects.create(
        user_id=41,
        client_id="the-app",
        access_token=token,
        scope=scope,
        expires_at=int(time.time()) + seconds,
        **more,
    )
    return token


def asks() -> dict[str, Ask | NotThere]:
    good = issued()
    unsigned = NotThere("an opaque token has no signature")
    return {
        "none": Ask(),
        "wrong scheme": Ask.bearer("Ym9iOm9mIG5vIHVzZQ==", scheme="Basic"),
        "empty": Ask((("Authorization", "Bearer"),)),
        "malformed": Ask.bearer("not!a!token!at!all"),
        "bad signature": unsigned,
        "alg none": unsigned,
        "unknown key": Ask.bearer(opaque(30)),
        "wrong issuer": NotThere("an opaque token names no issuer"),
        "wrong audience": NotThere("TokenMixin has no audience"),
        "not yet valid": NotThere("TokenMixin has no date it is valid from"),
        "expired": Ask.bearer(issued(seconds=-600)),
        "revoked": Ask.bearer(issued(revoked=True)),
        "too little scope": Ask.bearer(issued("write")),
        "another's object": Ask.bearer(good, "/orders/of/7"),
        "success": Ask.bearer(good),
        "two tokens": Ask.bearer(good)._replace(query=f"access_token={opaque(30)}"),
        "query token": Ask(query=f"access_token={good}"),
        "one of several scopes": Ask.bearer(good, "/change"),
        "public": Ask(path="/public"),
        "active": Ask.bearer(f"active{opaque(30)}", "/introspected"),
        "inactive": Ask.bearer(opaque(30), "/introspected"),
    }
