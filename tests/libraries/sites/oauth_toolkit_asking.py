"""An API on Django REST framework with django-oauth-toolkit that has another server's tokens introspected (RFC 7662)."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import django
from django.conf import settings

from fakes import opaque
from libraries.cases import Ask, NotThere

ISSUED: dict[str, dict[str, Any]] = {}
"""By token what the server that issued it says of it."""


class Introspection(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        said = ISSUED.get(form["token"][0], {})
        answer = json.dumps({"active": said.get("exp", 0) > time.time(), "username": "bob", **said}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


SERVER = ThreadingHTTPServer(("127.0.0.1", 0), Introspection)
threading.Thread(target=SERVER.serve_forever, daemon=True).start()
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
    OAUTH2_PROVIDER={
        "SCOPES": {"read": "Look"},
        "RESOURCE_SERVER_INTROSPECTION_URL": f"http://127.0.0.1:{SERVER.server_port}/introspect",
        "RESOURCE_SERVER_INTROSPECTION_CREDENTIALS": ("orders", "of no use"),
    },
    USE_TZ=True,
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.urls import path  # noqa: E402
from oauth2_provider.contrib.rest_framework import TokenHasScope  # noqa: E402
from rest_framework.permissions import BasePermission  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


class Own(BasePermission):
    def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:
        return obj == request.user.pk


class Orders(APIView):
    permission_classes = [TokenHasScope, Own]
    required_scopes = ["read"]

    def get(self, request: Any, owner: int = 41) -> Response:
        self.check_object_permissions(request, owner)
        return Response({"orders": []})


urlpatterns = [path("orders", Orders.as_view()), path("orders/of/<int:owner>", Orders.as_view())]


def stacks() -> dict[str, tuple[str, Any]]:
    from django.core.wsgi import get_wsgi_application

    call_command("migrate", verbosity=0)
    User.objects.create(pk=41, username="bob")
    return {"sync": ("wsgi", get_wsgi_application())}


def issued(**said: Any) -> str:
    token = opaque(30)
    ISSUED[token] = {"scope": "read", "exp": int(time.time()) + 600} | said
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
        "wrong issuer": NotThere("the issuer that is asked is the only one"),
        "wrong audience": Ask.bearer(issued(aud="https://another.test/")),
        "not yet valid": Ask.bearer(issued(active=False, nbf=int(time.time()) + 300)),
        "expired": Ask.bearer(issued(exp=int(time.time()) - 600)),
        "revoked": Ask.bearer(issued(active=False)),
        "too little scope": Ask.bearer(issued(scope="write")),
        "another's object": Ask.bearer(good, "/orders/of/7"),
        "success": Ask.bearer(good),
        "two tokens": Ask.bearer(good)._replace(query=f"access_token={opaque(30)}"),
        "query token": Ask(query=f"access_token={good}"),
    }
