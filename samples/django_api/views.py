"""Views: log in, orders, an export, a report. Every caller sees their own orders alone."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator

import httpx2
from django.contrib.auth import authenticate
from django.db.models import Count, QuerySet
from django.http import StreamingHttpResponse
from rest_framework import generics, serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle
from rest_framework.views import APIView
from shop.tokens import Refused

from django_api.auth import Refusal, tokens
from django_api.models import Order
from django_api.tasks import pack

log = logging.getLogger("shop.django")
quotes = httpx2.Client(base_url=os.environ.get("SHOP_QUOTES_URL", "http://127.0.0.1:8002"), timeout=5, trust_env=False)


class OrderSerializer(serializers.ModelSerializer):
    owner = serializers.CharField(source="owner.username", read_only=True)

    class Meta:
        model = Order
        fields = ("id", "owner", "item", "quantity", "status")
        read_only_fields = ("status",)


class Health(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get(self, request: Request) -> Response:
        return Response({"status": "ok"})


class Login(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    def post(self, request: Request) -> Response:
        name = str(request.data.get("username", ""))
        user = authenticate(request, username=name, password=str(request.data.get("password", "")))
        if user is None:
            log.warning("login failed for %r", name)
            raise Refusal(Refused(401, "invalid_request", "Wrong user name or password"))
        log.info("login of %s", name)
        return Response(tokens.issue(name, user.scope, seconds=request.data.get("expires_in")))


class Logout(APIView):
    def post(self, request: Request) -> Response:
        tokens.revoke(request.auth)
        return Response(status=204)


class Me(APIView):
    def get(self, request: Request) -> Response:
        return Response({"name": request.auth.name, "scope": request.auth.scope})


class Keys(APIView):
    def post(self, request: Request) -> Response:
        return Response(tokens.issue_key(request.auth.name, request.auth.scope), 201)


class Orders(generics.ListCreateAPIView):
    serializer_class = OrderSerializer
    scopes = {"GET": "orders:read", "POST": "orders:write"}

    def get_queryset(self) -> QuerySet[Order]:
        return Order.objects.filter(owner=self.request.user).select_related("owner")

    def perform_create(self, serializer: OrderSerializer) -> None:
        serializer.save(owner=self.request.user)


class OneOrder(generics.RetrieveAPIView):
    serializer_class = OrderSerializer
    queryset = Order.objects.select_related("owner")
    scopes = {"GET": "orders:read"}


class Dispatch(generics.GenericAPIView):
    """An order goes out: the Flask service says what it costs, and a worker packs it."""

    queryset = Order.objects.all()
    scopes = {"POST": "orders:write"}

    def post(self, request: Request, pk: int) -> Response:
        order = self.get_object()
        caller = {"Authorization": request.headers.get("Authorization", "")}  # the quote is for whoever asks us
        answer = quotes.get("/quote", params={"items": order.quantity}, headers=caller)
        if answer.status_code != 200:
            return Response({"detail": "There is no quote to be had"}, 502)
        pack.delay(order.pk)
        return Response({"id": order.pk, "each": answer.json()["each"]}, 202)


class Quote(APIView):
    throttle_classes = (ScopedRateThrottle,)
    throttle_scope = "quote"

    def get(self, request: Request) -> Response:
        items = int(request.query_params.get("items", 1))
        return Response({"items": items, "each": 120 // items})  # nobody has asked for 0 items, so far


class Export(APIView):
    scopes = {"GET": "export:read"}

    def get(self, request: Request) -> StreamingHttpResponse:
        mine = Order.objects.filter(owner=request.user).select_related("owner")
        rows = OrderSerializer(mine, many=True).data

        def lines() -> Iterator[str]:
            for row in rows:
                yield json.dumps(row) + "\n"
                time.sleep(0.005)

        return StreamingHttpResponse(lines(), content_type="application/x-ndjson")


class Report(APIView):
    scopes = {"GET": "reports:read"}

    def get(self, request: Request) -> Response:
        counts = Order.objects.order_by("status").values_list("status").annotate(Count("pk"))
        return Response({"orders": dict(counts)})
