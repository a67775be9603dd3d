"""An API on Django REST framework with its own ``TokenAuthentication``, watched by the two lines of settings alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django
import jwt
from django.conf import settings

from fakes import opaque
from libraries.cases import Ask, NotThere

settings.configure(
    SECRET_KEY="of no use",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "file:drf?mode=memory&cache=shared"}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "rest_framework",
        "rest_framework.authtoken",
        "bearerwatch.django",
    ],
    MIDDLEWARE=["bearerwatch.django.Middleware"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.TokenAuthentication"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
    LANGUAGE_CODE="de",
    USE_TZ=True,
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.authentication import TokenAuthentication  # noqa: E402
from rest_framework.authtoken.models import Token  # noqa: E402
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, PermissionDenied  # noqa: E402
from rest_framework.permissions import BasePermission, IsAdminUser, IsAuthenticated  # noqa: E402
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


class Everybodys(Orders):
    permission_classes = [IsAdminUser]


class Unasked(Orders):
    """What never looks at the token."""

    permission_classes = []

    def perform_authentication(self, request: Any) -> None:
        pass

    def get(self, request: Any, owner: int = 41) -> Response:
        raise PermissionDenied


def refusing(why: Callable[[], None]) -> Any:
    """A view with an authenticator of the project's own, which looks for more than REST framework's."""

    class More(TokenAuthentication):
        def authenticate_credentials(self, key: str) -> Any:
            super().authenticate_credentials(key)
            why()

    return Orders.as_view(authentication_classes=[More])


def permitting(why: Callable[[], None]) -> Any:
    """A view with a permission of the project's own."""

    class More(BasePermission):
        def has_permission(self, request: Any, view: Any) -> bool:
            why()
            return True

    return Orders.as_view(permission_classes=[More])


def over() -> None:
    raise AuthenticationFailed("Token has expired")


def revoked() -> None:
    raise AuthenticationFailed("Token was revoked")


def nobodys() -> None:
    try:
        User.objects.get(pk=7)
    except User.DoesNotExist as missing:
        raise AuthenticationFailed("No such user") from missing


def past() -> None:
    raise PermissionDenied from jwt.ExpiredSignatureError()


def anew() -> None:
    raise NotAuthenticated("Log in anew")


urlpatterns = [
    path("orders", Orders.as_view()),
    path("orders/of/<int:owner>", Orders.as_view()),
    path("orders/all", Everybodys.as_view()),
    path("unasked", Unasked.as_view()),
    path("over", refusing(over)),
    path("revoked", refusing(revoked)),
    path("nobodys", refusing(nobodys)),
    path("past", refusing(past)),
    path("step-up", permitting(past)),
    path("anew", permitting(anew)),
]

NOT_SIGNED = NotThere("its tokens are opaque: nothing is signed")
NO_CLAIMS = NotThere("its tokens are opaque: they claim nothing")
NO_END = NotThere("its tokens have no end")
NO_SCOPES = NotThere("its tokens have no scopes")


def stacks() -> dict[str, tuple[str, Any]]:
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application

    call_command("migrate", verbosity=0)
    return {"sync": ("wsgi", get_wsgi_application()), "async": ("asgi", get_asgi_application())}


def asks() -> dict[str, Ask | NotThere]:
    token = Token.objects.create(user=User.objects.create(pk=41, username="bob"))
    withdrawn = Token.objects.create(user=User.objects.create(pk=42, username="eve"))
    withdrawn.delete()
    locked = Token.objects.create(user=User.objects.create(pk=43, username="mallory", is_active=False))
    good = token.key

    def sent(key: str, path: str = "/orders") -> Ask:
        return Ask.bearer(key, path, "Token")

    return {
        "none": Ask(),
        "wrong scheme": Ask.bearer(good),
        "empty": Ask((("Authorization", "Token"),)),
        "malformed": sent(f"{good[:20]}!{good[20:]}"),
        "bad signature": NOT_SIGNED,
        "alg none": NOT_SIGNED,
        "unknown key": sent(opaque(40, "0123456789abcdef")),
        "wrong issuer": NO_CLAIMS,
        "wrong audience": NO_CLAIMS,
        "not yet valid": NO_CLAIMS,
        "expired": NO_END,
        "revoked": sent(withdrawn.key),
        "too little scope": NO_SCOPES,
        "another's object": sent(good, "/orders/of/7"),
        "success": sent(good),
        "two tokens": sent(good)._replace(query=f"access_token={opaque()}"),
        "query token": Ask(query=f"access_token={good}"),
        "with a space": sent(f"{good[:20]} {good[20:]}"),
        "another's function": sent(good, "/orders/all"),
        "a closed account": sent(locked.key),
    } | {path: sent(good, path) for path in ("/unasked", "/over", "/revoked", "/nobodys", "/past", "/step-up", "/anew")}
