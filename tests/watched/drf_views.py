"""Views of Django REST framework: its authentication, permissions and throttles decide."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from django.urls import path
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.permissions import BasePermission
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from watched import policy

__all__ = ["urlpatterns"]


class Tokens(BaseAuthentication):
    """As ``TokenAuthentication``, with the policy's tokens."""

    def authenticate(self, request: Any) -> Any:
        words = get_authorization_header(request).decode("latin-1").split()
        if not words or words[0].lower() != "bearer":
            return None
        if len(words) != 2:
            raise exceptions.AuthenticationFailed("Invalid token header.")
        if words[1] != policy.opaque("alice"):
            raise exceptions.AuthenticationFailed("Invalid token.")
        return SimpleNamespace(pk=42, is_authenticated=True), words[1]

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"


class NeedsToken(BasePermission):
    def has_permission(self, request: Any, view: Any) -> bool:
        return request.auth is not None

    def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:
        return not obj.startswith("x")


class Never(BaseThrottle):
    def allow_request(self, request: Any, view: Any) -> bool:
        return False

    def wait(self) -> float:
        return 5


class Orders(APIView):
    authentication_classes = (Tokens,)
    permission_classes = (NeedsToken,)

    def get(self, request: Any, order_id: str) -> Response:
        self.check_object_permissions(request, order_id)
        return Response({"order": order_id})

    def post(self, request: Any, order_id: str) -> Response:
        raise RuntimeError("after the token was verified")


class Limited(Orders):
    throttle_classes = (Never,)


class Public(APIView):
    authentication_classes = (Tokens,)

    def get(self, request: Any) -> Response:
        return Response({})


urlpatterns = [
    path("orders/<order_id>", Orders.as_view()),
    path("limited/<order_id>", Limited.as_view()),
    path("public", Public.as_view()),
]
