"""Operations of an API on django-ninja that the cases do not have, each asked once: ``python -m libraries.sites.ninja_more``."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

import django
import jwt
from django.conf import settings

from bearerwatch import _guard
from bearerwatch.testing.events import capture_events
from fakes import opaque
from libraries.jwts import SECRET
from watched.drive import Request, serve_wsgi

settings.configure(
    SECRET_KEY="of no use",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "bearerwatch.django",
    ],
    MIDDLEWARE=[
        "bearerwatch.django.Middleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    USE_TZ=True,
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402
from ninja import NinjaAPI  # noqa: E402
from ninja.errors import HttpError  # noqa: E402
from ninja.security import APIKeyQuery, HttpBearer, django_auth  # noqa: E402

api = NinjaAPI()
OPAQUE = opaque(40)
LATE = jwt.encode({"sub": "41", "exp": int(time.time()) - 10}, SECRET, "HS256")


class Users(HttpBearer):
    def authenticate(self, request: Any, token: str) -> Any:
        return User.objects.filter(pk=41).first() if token == OPAQUE else None


class Text(HttpBearer):
    def authenticate(self, request: Any, token: str) -> Any:
        return token


class Lenient(HttpBearer):
    def authenticate(self, request: Any, token: str) -> Any:
        return jwt.decode(token, SECRET, algorithms=["HS256"], leeway=60)


class Anywhere(Users):
    def __call__(self, request: Any) -> Any:
        return self.authenticate(request, request.GET.get("access_token", "")[1:])


class Query(APIKeyQuery):
    param_name = "access_token"

    def authenticate(self, request: Any, key: str | None) -> Any:
        return None


@api.get("/users", auth=Users())
@api.get("/text", auth=Text())
@api.get("/session", auth=[Users(), django_auth])
@api.get("/anywhere", auth=Anywhere())
@api.get("/query", auth=[Users(), Query()])
def orders(request: Any) -> dict[str, list[str]]:
    return {"orders": []}


@api.get("/late", auth=Lenient())
def forbidden(request: Any) -> None:
    raise HttpError(403, "Not yours")


@api.get("/broken", auth=Users())
def broken(request: Any) -> None:
    raise RuntimeError("no database")


urlpatterns = [path("", api.urls)]


def main() -> None:
    _guard.reraise(True)
    logging.disable(logging.CRITICAL)
    call_command("migrate", verbosity=0)
    client = Client()
    client.force_login(User.objects.create(pk=41, username="bob"))
    cookie = ("Cookie", f"sessionid={client.cookies['sessionid'].value}")
    bearer, other = ("Authorization", f"Bearer {OPAQUE}"), ("Authorization", f"Bearer {opaque(40)}")
    late, query = ("Authorization", f"Bearer {LATE}"), f"access_token={OPAQUE}"
    requests = {
        "user": Request("/users", headers=[bearer]),
        "text": Request("/text", headers=[bearer]),
        "beside a session": Request("/session", headers=[other, cookie]),
        "in the query of a session's operation": Request("/session", query=query),
        "in the query that is looked at": Request("/query", query=query),
        "where an authenticator may look": Request("/anywhere", query=query),
        "late and forbidden": Request("/late", headers=[late]),
        "broken": Request("/broken", headers=[bearer]),
    }
    app, told = get_wsgi_application(), {}
    with capture_events() as events:
        for name, request in requests.items():
            serve_wsgi(app, request, events)
            (event,) = events
            told[name] = [event.outcome, event.reason, event.status, event.verified, event.subject_id]
            events.clear()
    sys.stdout.write(f"{json.dumps(told)}\n")


if __name__ == "__main__":
    main()
