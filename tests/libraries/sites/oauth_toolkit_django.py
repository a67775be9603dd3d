"""An API of plain Django views with django-oauth-toolkit, watched by the two lines of settings alone."""

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
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider", "bearerwatch.django"],
    MIDDLEWARE=["bearerwatch.django.Middleware"],
    OAUTH2_PROVIDER={
        "SCOPES": {"read": "Look", "orders": "Orders"},
        "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    },
    USE_TZ=True,
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.exceptions import PermissionDenied  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django.utils import timezone  # noqa: E402
from oauth2_provider.decorators import protected_resource  # noqa: E402
from oauth2_provider.models import AccessToken, Application  # noqa: E402


@protected_resource(scopes=["read", "orders"])
def orders(request: Any, owner: int = 41) -> JsonResponse:
    if owner != request.resource_owner.pk:
        raise PermissionDenied
    return JsonResponse({"orders": []})


urlpatterns = [path("orders", orders), path("orders/of/<int:owner>", orders)]


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
        "malformed": Ask.bearer("in two words"),
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
    }
