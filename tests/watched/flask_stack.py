"""The API on Flask."""

from __future__ import annotations

import logging
from typing import Any

import flask

from bearerwatch.flask import Bearerwatch
from watched import policy

__all__ = ["build"]


def build(**settings: Any) -> flask.Flask:
    """The watched application."""
    app = flask.Flask("shop")
    app.logger.setLevel(logging.CRITICAL)  # what raises below raises on purpose
    Bearerwatch(app, **settings)

    def answer(given: policy.Answer) -> flask.Response:
        response = flask.Response(given.body, given.status)
        if given.challenge is not None:
            response.headers["WWW-Authenticate"] = given.challenge
        return response

    def presented() -> tuple[str | None, str | None]:
        return flask.request.headers.get("Authorization"), flask.request.args.get("access_token")

    @app.get("/public")
    def public() -> str:
        return "hello"

    @app.get("/orders/<order_id>")
    def orders(order_id: str) -> flask.Response:
        return answer(policy.order(*presented(), order_id))

    @app.get("/admin")
    def admin() -> flask.Response:
        return answer(policy.guard(*presented(), "admin") or policy.Answer(200, "hello"))

    @app.get("/limited")
    def limited() -> flask.Response:
        return answer(policy.Answer(429, "slow down"))

    @app.get("/broken")
    def broken() -> flask.Response:
        return answer(policy.Answer(503, "out of order"))

    @app.get("/boom")
    def boom() -> str:
        raise RuntimeError("this view always raises")

    @app.get("/empty")
    def empty() -> flask.Response:
        return answer(policy.Answer(204, ""))

    @app.get("/logs")
    def logs() -> str:
        logging.getLogger("orders").warning("presented: %s", flask.request.headers.get("Authorization", "").split()[-1])
        return "logged"

    @app.get("/stream")
    def stream() -> flask.Response:
        return flask.Response(policy.chunks())

    @app.get("/stream/fails")
    def stream_fails() -> flask.Response:
        return flask.Response(policy.chunks(fails=True))

    @app.get("/stream/sized")
    def stream_sized() -> flask.Response:
        return flask.Response(policy.chunks(), headers={"Content-Length": "13"})

    inner = flask.Blueprint("inner", "inner", url_prefix="/inner")

    @inner.get("/items/<int:item_id>")
    def items(item_id: int) -> str:
        return f"item {item_id}"

    app.register_blueprint(inner)
    return app
