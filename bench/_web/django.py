"""Django: the bare WSGI handler and its variants."""

from __future__ import annotations

import logging.config
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, JsonResponse
from django.urls import path

from bench._floor import WsgiFloor
from bench._web import _otel

VARIANTS = ("bearerwatch", "floor", "django-guid", "django-structlog", "OpenTelemetry no-op", "OpenTelemetry SDK")
_PLAIN = ["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"]


def order(_request: HttpRequest, pk: int) -> JsonResponse:
    return JsonResponse({"id": pk, "state": "paid", "items": [{"sku": "A-17", "count": 2}]})


def memberships(_request: HttpRequest, pk: UUID) -> JsonResponse:
    return JsonResponse({"id": str(pk), "members": [{"name": "A", "role": "owner"}]})


urlpatterns = [path("orders/<int:pk>", order), path("organizations/<uuid:pk>/memberships", memberships)]


def _configure(*apps: str, **more: Any) -> None:
    settings.configure(
        SECRET_KEY="not a secret",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=list(apps),
        MIDDLEWARE=_PLAIN,
        DATABASES={},
        USE_TZ=True,
        **more,
    )
    django.setup()


def _handler(*middleware: str) -> WSGIHandler:
    settings.MIDDLEWARE = [*middleware, *_PLAIN]
    return WSGIHandler()


def build(variant: str, folder: Path) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The bare handler and the variant's, in this process."""
    if variant == "django-guid":
        _configure("django_guid", DJANGO_GUID={"GUID_HEADER_NAME": "X-Request-ID"}, LOGGING=_quiet(folder))
        return _handler(), _handler("django_guid.middleware.guid_middleware")
    if variant == "django-structlog":
        _configure("django_structlog")
        _structlog(folder / "structlog.json")
        return _handler(), _handler("django_structlog.middlewares.RequestMiddleware")
    if variant == "bearerwatch":
        _configure("bearerwatch.django")
        return _handler(), _handler("bearerwatch.django.Middleware")
    _configure()
    bare = _handler()
    if variant == "floor":
        return bare, WsgiFloor(_handler(), folder / "floor.jsonl")
    if variant.startswith("OpenTelemetry"):
        from opentelemetry.instrumentation.django import DjangoInstrumentor  # noqa: PLC0415

        DjangoInstrumentor().instrument(tracer_provider=_otel.provider(variant))
        return bare, WSGIHandler()
    return bare, _handler()


def _quiet(folder: Path) -> dict[str, Any]:
    """django-guid's own example of a logging configuration; nothing is written while all goes well."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"correlation_id": {"()": "django_guid.log_filters.CorrelationId"}},
        "formatters": {"medium": {"format": "%(levelname)s %(asctime)s [%(correlation_id)s] %(name)s %(message)s"}},
        "handlers": {
            "file": {
                "class": "logging.FileHandler",
                "filename": str(folder / "guid.log"),
                "formatter": "medium",
                "filters": ["correlation_id"],
            }
        },
        "loggers": {"django_guid": {"handlers": ["file"], "level": "WARNING", "propagate": False}},
    }


def _structlog(file: Path) -> None:
    """django-structlog's own example: JSON lines to a file."""
    import structlog  # noqa: PLC0415

    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "json": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "processor": structlog.processors.JSONRenderer(),
                }
            },
            "handlers": {
                "json_file": {
                    "class": "logging.handlers.WatchedFileHandler",
                    "filename": str(file),
                    "formatter": "json",
                }
            },
            "loggers": {"django_structlog": {"handlers": ["json_file"], "level": "INFO"}},
        }
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.filter_by_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            structlog.processors.UnicodeDecoder(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
