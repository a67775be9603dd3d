"""An API on Django REST framework with django-oauth-toolkit, watched by the two lines of settings alone."""

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
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "oauth2_provider",
        "rest_framework",
        "bearerwatch.django",
    ],
    MIDDLEWARE=["bearerwatch.django.Middleware"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["oauth2_provider.contrib.rest_framework.OAuth2Authentication"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
    OAUTH2_PROVIDER={"SCOPES": {"read": "Look", "write": "Change", "orders": "Orders"}},
    USE_TZ=True,
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.urls import path  # noqa: E402
from django.utils import timezone  # noqa: E402
from oauth2_provider.contrib.rest_framework import (  # noqa: E402
    IsAuthenticatedOrTokenHasScope,
    TokenHasReadWriteScope,
    TokenHasScope,
    TokenMatchesOASRequirements,
)
from oauth2_provider.models import AccessToken, Application  # noqa: E402
from rest_framework.permissions import BasePermission, IsAdminUser, IsAuthenticated  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


class Own(BasePermission):
    def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:
        return obj == request.user.pk


class Orders(APIView):
    permission_classes = [IsAuthenticated, TokenHasReadWriteScope, Own]
    required_scopes = ["orders"]

    def get(self, request: Any, owner: int = 41) -> Response:
        self.check_object_permissions(request, owner)
        return Response({"orders": []})


class Writing(APIView):
    required_scopes = ["write"]
    required_alternate_scopes = {"GET": [["write"], ["read", "everything"]]}

    def get(self, request: Any) -> Response:
        return Response({})


urlpatterns = [
    path("orders", Orders.as_view()),
    path("orders/of/<int:owner>", Orders.as_view()),
    path("staff-or-scope", Writing.as_view(permission_classes=[IsAdminUser | TokenHasScope])),
    path("staff-and-scope", Writing.as_view(permission_classes=[IsAdminUser, TokenHasScope])),
    path("session-or-scope", Writing.as_view(permission_classes=[IsAuthenticatedOrTokenHasScope])),
    path("described", Writing.as_view(permission_classes=[TokenMatchesOASRequirements])),
]
OTHERS = ("staff-or-scope", "staff-and-scope", "session-or-scope", "described")


def stacks() -> dict[str, tuple[str, Any]]:
    from django.core.wsgi import get_wsgi_application

    call_command("migrate", verbosity=0)
    Application.objects.create(
        client_id="the-app",
        user=User.objects.create(pk=41, username="bob"),
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
        redirect_uris="https://app.test/back",
    )
    return {"sync": ("wsgi", get_wsgi_application())}


def issued(scope: str = "read orders", seconds: int = 600, **more: Any) -> AccessToken:
    return AccessToken.objects.create(
        token=opaque(30),
        user_id=41,
        application=Application.objects.get(),
        scope=scope,
        expires=timezone.now() + timedelta(seconds=seconds),
        **more,
    )


def asks() -> dict[str, Ask | NotThere]:
    good, withdrawn = issued().token, issued()
    withdrawn.revoke()
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
        "wrong audience": Ask.bearer(issued(resource=["https://another.test/"]).token)
        if hasattr(AccessToken, "resource")
        else NotThere("AccessToken has no audience"),
        "not yet valid": NotThere("AccessToken has no date it is valid from"),
        "expired": Ask.bearer(issued(seconds=-600).token),
        "revoked": Ask.bearer(withdrawn.token),
        "too little scope": Ask.bearer(issued("read").token),
        "another's object": Ask.bearer(good, "/orders/of/7"),
        "success": Ask.bearer(good),
        "two tokens": Ask.bearer(good)._replace(query=f"access_token={opaque(30)}"),
        "query token": Ask(query=f"access_token={good}"),
        "two words": Ask.bearer(f"{good} {good}"),
    } | {name: Ask.bearer(good, f"/{name}") for name in OTHERS}
