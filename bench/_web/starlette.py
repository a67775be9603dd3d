"""Starlette: the bare ASGI application and its variants."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bench._floor import AsgiFloor
from bench._web import _otel

VARIANTS = ("bearerwatch", "floor", "asgi-correlation-id", "OpenTelemetry no-op", "OpenTelemetry SDK")


async def order(request: Request) -> JSONResponse:
    return JSONResponse({"id": request.path_params["pk"], "state": "paid", "items": [{"sku": "A-17", "count": 2}]})


async def memberships(request: Request) -> JSONResponse:
    return JSONResponse({"id": str(request.path_params["pk"]), "members": [{"name": "A", "role": "owner"}]})


def _app() -> Starlette:
    return Starlette(
        routes=[Route("/orders/{pk:int}", order), Route("/organizations/{pk:uuid}/memberships", memberships)]
    )


def build(variant: str, folder: Path) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The bare application and the variant's, in this process."""
    bare, app = _app(), _app()
    if variant == "bearerwatch":
        from bearerwatch.asgi import BearerwatchMiddleware  # noqa: PLC0415

        app.add_middleware(BearerwatchMiddleware)
    elif variant == "floor":
        return bare, AsgiFloor(app, folder / "floor.jsonl")
    elif variant == "asgi-correlation-id":
        from asgi_correlation_id import CorrelationIdMiddleware  # noqa: PLC0415

        app.add_middleware(CorrelationIdMiddleware)
    elif variant.startswith("OpenTelemetry"):
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware  # noqa: PLC0415

        app.add_middleware(OpenTelemetryMiddleware, tracer_provider=_otel.provider(variant))
    return bare, app
