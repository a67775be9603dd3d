"""An API on Flask whose views ask for tokens by bearerwatch.verify, as functions and as coroutines."""

from __future__ import annotations

from typing import Any

from flask import Flask, abort, g, jsonify

from bearerwatch.flask import Bearerwatch
from bearerwatch.verify.flask import require_bearer, use_guard
from libraries import doors

app, awaited = Flask(__name__), Flask(__name__)


@app.get("/orders")
@require_bearer(scopes=["read"])
def orders() -> Any:
    return jsonify(orders=[], of=g.bearer.subject)


@app.get("/orders/of/<owner>")
@require_bearer(scopes="read")
def orders_of(owner: str) -> Any:
    if owner != g.bearer.subject:
        abort(403)
    return jsonify(orders=[])


@awaited.get("/orders")
@require_bearer(scopes=["read"], guard=doors.guard())
async def orders_awaited() -> Any:
    return jsonify(orders=[], of=g.bearer.subject)


@awaited.get("/orders/of/<owner>")
@require_bearer(scopes="read", guard=doors.guard())
async def orders_of_awaited(owner: str) -> Any:
    if owner != g.bearer.subject:
        abort(403)
    return jsonify(orders=[])


use_guard(app, doors.guard())
Bearerwatch(app)
Bearerwatch(awaited)
asks = doors.asks


def stacks() -> dict[str, tuple[str, Any]]:
    return {"sync": ("wsgi", app), "async": ("wsgi", awaited)}
