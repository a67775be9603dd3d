"""The API on Django: the same urls served under WSGI, and by async views under ASGI."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import include, path, re_path

from watched import policy

__all__ = ["asgi", "configure", "urlpatterns", "wsgi"]

ROOT_URLCONF = "watched.django_stack"


def configure(**bearerwatch: Any) -> None:
    """Set Django up, once a process; *bearerwatch* becomes ``settings.BEARERWATCH``."""
    if not settings.configured:
        settings.configure(
            SECRET_KEY="of no use",
            ALLOWED_HOSTS=["*"],
            ROOT_URLCONF=ROOT_URLCONF,
            INSTALLED_APPS=["bearerwatch.django"],
            MIDDLEWARE=["bearerwatch.django.Middleware", "django.middleware.common.CommonMiddleware"],
            REST_FRAMEWORK={
                "UNAUTHENTICATED_USER": None,
                "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
            },
            LOGGING_CONFIG=None,
            USE_TZ=True,
            DEBUG=False,
        )
        django.setup()
        logging.getLogger("django.request").setLevel(logging.CRITICAL)
    settings.BEARERWATCH = bearerwatch


def wsgi(**bearerwatch: Any) -> Any:
    """The WSGI application."""
    configure(**bearerwatch)
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


def asgi(**bearerwatch: Any) -> Any:
    """The ASGI application."""
    configure(**bearerwatch)
    from django.core.asgi import get_asgi_application

    return get_asgi_application()


def answer(given: policy.Answer) -> HttpResponse:
    response = HttpResponse(given.body, status=given.status)
    if given.challenge is not None:
        response["WWW-Authenticate"] = given.challenge
    return response


def presented(request: HttpRequest) -> tuple[str | None, str | None]:
    return request.headers.get("Authorization"), request.GET.get("access_token")


def public(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


def orders(request: HttpRequest, order_id: str) -> HttpResponse:
    return answer(policy.order(*presented(request), order_id))


async def orders_async(request: HttpRequest, order_id: str) -> HttpResponse:
    return orders(request, order_id)


def admin(request: HttpRequest) -> HttpResponse:
    return answer(policy.guard(*presented(request), "admin") or policy.Answer(200, "hello"))


def limited(request: HttpRequest) -> HttpResponse:
    return answer(policy.Answer(429, "slow down"))


def broken(request: HttpRequest) -> HttpResponse:
    return answer(policy.Answer(503, "out of order"))


def boom(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("this view always raises")


def empty(request: HttpRequest) -> HttpResponse:
    return answer(policy.Answer(204, ""))


def logs(request: HttpRequest) -> HttpResponse:
    logging.getLogger("orders").warning("presented: %s", request.headers.get("Authorization", "").split()[-1])
    return HttpResponse("logged")


async def _later(chunks: Iterator[bytes]) -> Any:
    for chunk in chunks:
        yield chunk


def _streamed(request: HttpRequest, **kwargs: Any) -> StreamingHttpResponse:
    chunks = policy.chunks(**kwargs)
    return StreamingHttpResponse(_later(chunks) if hasattr(request, "scope") else chunks)


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return _streamed(request)


def stream_fails(request: HttpRequest) -> StreamingHttpResponse:
    return _streamed(request, fails=True)


def stream_sized(request: HttpRequest) -> StreamingHttpResponse:
    response = _streamed(request)
    response["Content-Length"] = "13"
    return response


def items(request: HttpRequest, item_id: int) -> HttpResponse:
    return HttpResponse(f"item {item_id}")


urlpatterns = [
    path("public", public),
    path("orders/<order_id>", orders),
    path("async/orders/<order_id>", orders_async),
    path("admin", admin),
    path("limited", limited),
    path("broken", broken),
    path("boom", boom),
    path("empty", empty),
    path("logs", logs),
    path("stream", stream),
    path("stream/fails", stream_fails),
    path("stream/sized", stream_sized),
    path("inner/", include([path("items/<int:item_id>", items)])),
    re_path(r"^old/(?P<item_id>[0-9]+)/$", items),
]
