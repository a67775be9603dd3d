"""Flask: the bare WSGI application and its variants."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import flask

from bench._floor import WsgiFloor
from bench._web import _otel

VARIANTS = ("bearerwatch", "floor", "flask-log-request-id", "OpenTelemetry no-op", "OpenTelemetry SDK")


def _app() -> flask.Flask:
    app = flask.Flask("bench_app")

    @app.get("/orders/<int:pk>")
    def order(pk: int) -> flask.Response:
        return flask.jsonify({"id": pk, "state": "paid", "items": [{"sku": "A-17", "count": 2}]})

    @app.get("/organizations/<uuid:pk>/memberships")
    def memberships(pk: UUID) -> flask.Response:
        return flask.jsonify({"id": str(pk), "members": [{"name": "A", "role": "owner"}]})

    return app


def build(variant: str, folder: Path) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The bare application and the variant's, in this process."""
    bare, app = _app(), _app()
    if variant == "bearerwatch":
        from bearerwatch.flask import Bearerwatch  # noqa: PLC0415

        Bearerwatch(app)
    elif variant == "floor":
        app.wsgi_app = WsgiFloor(app.wsgi_app, folder / "floor.jsonl")
    elif variant == "flask-log-request-id":
        from flask_log_request_id import RequestID  # noqa: PLC0415

        RequestID(app)
    elif variant.startswith("OpenTelemetry"):
        from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware  # noqa: PLC0415

        app.wsgi_app = OpenTelemetryMiddleware(app.wsgi_app, tracer_provider=_otel.provider(variant))
    return bare, app
