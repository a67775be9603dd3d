"""An API on Django REST framework with djangorestframework-simplejwt, watched by the two lines of settings alone."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings

from libraries.cases import Ask, NotThere
from libraries.jwts import AUDIENCE, ISSUER, SECRET, jwts

settings.configure(
    SECRET_KEY="of no use",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "bearerwatch.django"],
    MIDDLEWARE=["bearerwatch.django.Middleware"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
    SIMPLE_JWT={
        "ALGORITHM": "HS256",
        "SIGNING_KEY": SECRET,
        "ISSUER": ISSUER,
        "AUDIENCE": AUDIENCE,
        "USER_ID_CLAIM": "sub",
        "CHECK_REVOKE_TOKEN": True,
    },
    USE_TZ=True,
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.permissions import BasePermission, IsAuthenticated  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402
from rest_framework_simplejwt.utils import get_md5_hash_password  # noqa: E402


class Own(BasePermission):
    def has_permission(self, request: Any, view: Any) -> bool:
        return "read" in request.auth.get("scope", "").split()

    def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:
        return obj == request.user.pk


class Orders(APIView):
    permission_classes = [IsAuthenticated, Own]

    def get(self, request: Any, owner: int = 41) -> Response:
        self.check_object_permissions(request, owner)
        return Response({"orders": []})


urlpatterns = [path("orders", Orders.as_view()), path("orders/of/<int:owner>", Orders.as_view())]


def stacks() -> dict[str, tuple[str, Any]]:
    from django.core.wsgi import get_wsgi_application

    call_command("migrate", verbosity=0)
    User.objects.create(pk=41, username="bob", password="x")
    return {"sync": ("wsgi", get_wsgi_application())}


def asks() -> dict[str, Ask | NotThere]:
    user = User.objects.get(pk=41)
    claims = {"token_type": "access", "jti": "7", "hash_password": get_md5_hash_password(user.password)}
    tokens = jwts(**claims)
    good = tokens["success"]
    found: dict[str, Ask | NotThere] = {case: Ask.bearer(token) for case, token in tokens.items()}
    return found | {
        "none": Ask(),
        "wrong scheme": Ask.bearer("Ym9iOm9mIG5vIHVzZQ==", scheme="Basic"),
        "empty": Ask((("Authorization", "Bearer"),)),
        "revoked": Ask.bearer(jwts(**claims | {"hash_password": "of the password before"})["success"]),
        "another's object": Ask.bearer(good, "/orders/of/7"),
        "two tokens": Ask.bearer(good)._replace(query=f"access_token={tokens['bad signature']}"),
        "query token": Ask(query=f"access_token={good}"),
    }
