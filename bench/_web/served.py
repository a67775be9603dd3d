"""The Flask application that is served over HTTP and attacked: instrumented by its one line."""

from __future__ import annotations

import flask

from bearerwatch.flask import Bearerwatch

GOOD = "the one token this application takes: " + "0" * 32

app = flask.Flask("bench_served")
Bearerwatch(app)


@app.get("/orders/<int:pk>")
def order(pk: int) -> flask.Response:
    if flask.request.headers.get("Authorization") != f"Bearer {GOOD}":
        refused = flask.jsonify({"error": "invalid_token"})
        refused.status_code = 401
        refused.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
        return refused
    return flask.jsonify({"id": pk})
