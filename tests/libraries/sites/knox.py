"""An API on Django REST framework with django-rest-knox, watched by the two lines of settings alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import django
from django.conf import settings

from fakes import opaque
from libraries.cases import Ask, NotThere

settings.configure(
    SECRET_KEY="of no use",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "file:knox?mode=memory&cache=shared"}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "rest_framework",
        "knox",
        "bearerwatch.django",
    ],
    MIDDLEWARE=["bearerwatch.django.Middleware"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["knox.auth.TokenAuthentication"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
    KNOX_TOKEN_MODEL="knox.AuthToken",  # 5.0.0 does not say so itself
    REST_KNOX={"AUTH_HEADER_PREFIX": "Bearer"},
    LANGUAGE_CODE="de",
    USE_TZ=True,
)
django.setup()

from asgiref.sync import sync_to_async  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.urls import include, path  # noqa: E402
from knox.models import AuthToken  # noqa: E402
from rest_framework.permissions import BasePermission, IsAuthenticated  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


class Own(BasePermission):
    def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:
        return obj == request.user.pk


class Orders(APIView):
    permission_classes = [IsAuthenticated, Own]

    def get(self, request: Any, owner: int = 41) -> Response:
        self.check_object_permissions(request, owner)
        return Response({"orders": []})


urlpatterns = [
    path("orders", Orders.as_view()),
    path("orders/of/<int:owner>", Orders.as_view()),
    path("auth/", include("knox.urls")),
]

NOT_SIGNED = NotThere("its tokens are opaque: nothing is signed")
NO_CLAIMS = NotThere("its tokens are opaque: they claim nothing")
NO_SCOPES = NotThere("its tokens have no scopes")
_over: list[AuthToken] = []


def stacks() -> dict[str, tuple[str, Any]]:
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application

    call_command("migrate", verbosity=0)
    application = get_asgi_application()

    async def served(scope: Any, receive: Any, send: Any) -> None:
        await sync_to_async(anew)()
        await application(scope, receive, send)

    return {"sync": ("wsgi", get_wsgi_application()), "async": ("asgi", served)}


def anew() -> None:
    """Knox deletes what has expired when it is presented: so that it can be tried on the next stack as well."""
    for token in _over:
        AuthToken(token.digest, token.token_key, token.user_id, token.created, token.expiry).save()


def asks() -> dict[str, Ask | NotThere]:
    user = User.objects.create(pk=41, username="bob")
    _, good = AuthToken.objects.create(user)
    row, withdrawn = AuthToken.objects.create(user)
    row.delete()
    row, over = AuthToken.objects.create(User.objects.create(pk=42, username="eve"), expiry=timedelta(hours=-1))
    _over.append(row)
    leaver = User.objects.create(pk=43, username="mallory", is_active=False)
    _, locked = AuthToken.objects.create(leaver)
    row, _ = AuthToken.objects.create(leaver, expiry=timedelta(hours=-1))
    _over.append(row)
    return {
        "none": Ask(),
        "wrong scheme": Ask.bearer(good, scheme="Token"),
        "empty": Ask((("Authorization", "Bearer"),)),
        "malformed": Ask.bearer(f"{good[:20]}!{good[20:]}"),
        "bad signature": NOT_SIGNED,
        "alg none": NOT_SIGNED,
        "unknown key": Ask.bearer(opaque(64, "0123456789abcdef")),
        "wrong issuer": NO_CLAIMS,
        "wrong audience": NO_CLAIMS,
        "not yet valid": NO_CLAIMS,
        "expired": Ask.bearer(over),
        "revoked": Ask.bearer(withdrawn),
        "too little scope": NO_SCOPES,
        "another's object": Ask.bearer(good, "/orders/of/7"),
        "success": Ask.bearer(good),
        "two tokens": Ask.bearer(good)._replace(query=f"access_token={opaque()}"),
        "query token": Ask(query=f"access_token={good}"),
        "expired, and presented again": Ask.bearer(over),
        "another end": Ask.bearer(locked[:-4] + opaque(4, "ghij")),
        "a closed account": Ask.bearer(locked),
    }
