"""Bearer tokens for Django REST framework: authentication, scopes, and the ledger in the database."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from shop.tokens import Holder, Refused, Tokens, bearer_from

from django_api.models import ApiKey, Order, Revocation, User


class OrmLedger:
    """`shop.tokens.Ledger` kept in models."""

    def remember_key(self, digest: str, name: str, scope: str) -> None:
        ApiKey.objects.create(digest=digest, owner=User.objects.get(username=name), scope=scope)

    def find_key(self, digest: str) -> tuple[str, str] | None:
        key = ApiKey.objects.select_related("owner").filter(pk=digest).first()
        return (key.owner.username, key.scope) if key else None

    def revoke(self, reference: str) -> None:
        Revocation.objects.get_or_create(reference=reference)

    def is_revoked(self, reference: str) -> bool:
        return Revocation.objects.filter(pk=reference).exists()


tokens = Tokens(OrmLedger())


class Refusal(APIException):
    """A `Refused` as REST framework answers it."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.body["detail"])
        self.status_code = refused.status
        self.auth_header = refused.challenge


class BearerAuthentication(BaseAuthentication):
    """``request.user`` is the token's user and ``request.auth`` its `Holder`."""

    def authenticate(self, request: Request) -> tuple[User, Holder] | None:
        try:
            token = bearer_from(request.headers.get("Authorization"), request.query_params.get("access_token"))
            if token is None:
                return None
            holder = tokens.holder(token)
        except Refused as refused:
            raise Refusal(refused) from refused
        return User.objects.get(username=holder.name), holder

    def authenticate_header(self, request: Request) -> str:
        return Refused(401).challenge


class HasScope(BasePermission):
    """The token must have been granted the view's ``scopes`` for the request's method."""

    def has_permission(self, request: Request, view: Any) -> bool:
        scope = getattr(view, "scopes", {}).get(request.method)
        if scope:
            try:
                request.auth.require(scope)
            except Refused as refused:
                raise Refusal(refused) from refused
        return True

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        if isinstance(obj, Order) and obj.owner_id != request.user.pk:
            raise PermissionDenied("This is somebody else's order")
        return True
