"""An API on Django REST framework whose authentication is bearerwatch.verify's, under WSGI and ASGI."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings

from libraries import doors

settings.configure(
    SECRET_KEY="of no use",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["bearerwatch.django"],
    MIDDLEWARE=["bearerwatch.django.Middleware"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["bearerwatch.verify.rest_framework.BearerAuthentication"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "EXCEPTION_HANDLER": "bearerwatch.verify.rest_framework.exception_handler",
        "UNAUTHENTICATED_USER": None,
    },
    BEARERWATCH_GUARD=doors.guard(),
)
django.setup()

from django.urls import path  # noqa: E402
from rest_framework.permissions import BasePermission, IsAuthenticated  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from bearerwatch.verify.rest_framework import require_scopes  # noqa: E402


class Own(BasePermission):
    def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:
        return obj == request.user.pk


class Orders(APIView):
    permission_classes = [IsAuthenticated, require_scopes("read"), Own]

    def get(self, request: Any, owner: str = "41") -> Response:
        self.check_object_permissions(request, owner)
        return Response({"orders": []})


urlpatterns = [path("orders", Orders.as_view()), path("orders/of/<str:owner>", Orders.as_view())]
asks = doors.asks


def stacks() -> dict[str, tuple[str, Any]]:
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application

    return {"sync": ("wsgi", get_wsgi_application()), "async": ("asgi", get_asgi_application())}
