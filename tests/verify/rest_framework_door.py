"""Run by test_doors.py: Django REST framework's door, without the middleware and among other authenticators."""

# ruff: noqa: E402, RUF012, PT017 - settings come before imports, views are as people write them, and it is no test file

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1])]

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="of no use",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    REST_FRAMEWORK={"DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]},
    BEARERWATCH_GUARD=None,
)
django.setup()

from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, override_settings
from rest_framework.views import APIView

from bearerwatch.errors import ConfigurationError
from bearerwatch.verify.dpop import DpopProofs, Nonces
from bearerwatch.verify.guard import Guard
from bearerwatch.verify.jwt import JwtVerifier
from bearerwatch.verify.keys import Keys
from bearerwatch.verify.rest_framework import BearerAuthentication, exception_handler, require_scopes
from fakes import opaque
from issuers import AUDIENCE, ISSUER, issuer
from proofs import Sender

SENDER = Sender()
GUARD = Guard(
    JwtVerifier(issuer=ISSUER, audience=AUDIENCE, algorithms=("ES256",), keys=Keys.from_jwk(issuer().jwk)),
    dpop=DpopProofs(algorithms=("ES256",), nonces=Nonces()),
)


class Known(BearerAuthentication):
    guard = GUARD

    def get_user(self, verdict: Any) -> Any:
        return super().get_user(verdict) if verdict.subject == "41" else None


class Closed(BearerAuthentication):
    guard = GUARD

    def get_user(self, verdict: Any) -> Any:
        user = super().get_user(verdict)
        user.is_active = False
        return user


class Orders(APIView):
    authentication_classes = [SessionAuthentication, Known]
    permission_classes = [IsAuthenticated, require_scopes("read")]

    def get(self, request: Any) -> Response:
        return Response({"of": str(request.user), "by": request.auth.client_id, "name": request.user.get_username()})


class Problems(Orders):
    def get_exception_handler(self) -> Any:
        return exception_handler


def ask(view: Any, token: str | None = None, scheme: str = "Bearer", **more: str) -> Any:
    headers = {} if token is None else {"HTTP_AUTHORIZATION": f"{scheme} {token}"}
    response = view.as_view()(APIRequestFactory().get("/orders", **headers, **more))
    response.render()
    return response


let_in = ask(Orders, issuer().token())
assert let_in.data == {"of": "41", "by": "web", "name": "41"}, let_in.data

# where another authenticator is the first, REST framework would make a 403 of this
refused = ask(Orders, opaque())
assert (refused.status_code, refused.data) == (401, {"detail": "Unauthorized"})
assert refused["WWW-Authenticate"] == 'Bearer error="invalid_token", DPoP algs="ES256"'
assert refused["Cache-Control"] == "no-store"

refused = ask(Problems, opaque())
assert refused["Content-Type"] == "application/problem+json"
assert refused.data == {"type": "about:blank", "title": "Unauthorized", "status": 401, "error": "invalid_token"}

refused = ask(Orders, issuer().token(sub="42"))
assert refused.status_code == 401

refused = ask(Orders, issuer().token(scope="list"))
assert refused.status_code == 403
assert refused["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="read", DPoP algs="ES256"'

token = issuer().token(cnf={"jkt": SENDER.jkt})
proof = SENDER.proof(token, url="http://testserver/orders")
refused = ask(Orders, token, "DPoP", HTTP_DPOP=proof)
assert refused.status_code == 401
assert refused["WWW-Authenticate"].startswith('DPoP error="use_dpop_nonce"')
proof = SENDER.proof(token, url="http://testserver/orders", nonce=refused["DPoP-Nonce"])
assert ask(Orders, token, "DPoP", HTTP_DPOP=proof).status_code == 200

Orders.authentication_classes = [Known]
missing = ask(Orders)
assert (missing.status_code, missing["WWW-Authenticate"]) == (401, 'Bearer, DPoP algs="ES256"')

Problems.authentication_classes = [Known]
missing = ask(Problems)
assert missing["Content-Type"] == "application/problem+json"
assert missing.data == {"type": "about:blank", "title": "Unauthorized", "status": 401}

Orders.authentication_classes = [Closed]
assert ask(Orders, issuer().token()).status_code == 401

Orders.authentication_classes = [BearerAuthentication]
try:
    ask(Orders, issuer().token())
except ConfigurationError as error:
    assert "BEARERWATCH_GUARD" in str(error)
else:
    raise AssertionError("without a guard nobody is let in")
with override_settings(BEARERWATCH_GUARD="__main__.GUARD"):
    assert ask(Orders, issuer().token()).status_code == 200

sys.stdout.write("fine\n")
