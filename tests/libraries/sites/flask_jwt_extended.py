"""An API on Flask with Flask-JWT-Extended, watched by one line."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Flask, abort, jsonify
from flask_jwt_extended import JWTManager, get_jwt, get_jwt_identity, jwt_required, verify_jwt_in_request

from bearerwatch.flask import Bearerwatch
from libraries.cases import Ask, NotThere
from libraries.jwts import AUDIENCE, ISSUER, SECRET, jwts

WITHDRAWN = "9"


def scope_required(scope: str) -> Callable[..., Any]:
    """The documentation's custom decorator, of a scope."""

    def wrapper(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def decorator(*args: Any, **kwargs: Any) -> Any:
            verify_jwt_in_request()
            if scope not in get_jwt().get("scope", "").split():
                return jsonify(msg="Not within the scope"), 403
            return view(*args, **kwargs)

        return decorator

    return wrapper


def made() -> Flask:
    app = Flask(__name__)
    app.config.update(JWT_SECRET_KEY=SECRET, JWT_DECODE_ISSUER=ISSUER, JWT_DECODE_AUDIENCE=AUDIENCE)
    jwt = JWTManager(app)

    @jwt.token_in_blocklist_loader
    def withdrawn(_header: dict[str, Any], payload: dict[str, Any]) -> bool:
        return payload["jti"] == WITHDRAWN

    @jwt.user_lookup_loader
    def user(_header: dict[str, Any], payload: dict[str, Any]) -> dict[str, str] | None:
        return {"id": "41"} if payload["sub"] == "41" else None

    Bearerwatch(app)
    return app


def stacks() -> dict[str, tuple[str, Any]]:
    app, awaited = made(), made()

    @app.get("/orders")
    @scope_required("read")
    def orders() -> Any:
        return jsonify(orders=[])

    @app.get("/orders/of/<owner>")
    @jwt_required()
    def orders_of(owner: str) -> Any:
        if owner != get_jwt_identity():
            abort(403)
        return jsonify(orders=[])

    @awaited.get("/orders")
    @jwt_required()
    async def orders_awaited() -> Any:
        if "read" not in get_jwt().get("scope", "").split():
            return jsonify(msg="Not within the scope"), 403
        return jsonify(orders=[])

    @awaited.get("/orders/of/<owner>")
    @jwt_required()
    async def orders_of_awaited(owner: str) -> Any:
        if owner != get_jwt_identity():
            abort(403)
        return jsonify(orders=[])

    return {"sync": ("wsgi", app), "async": ("wsgi", awaited)}


def asks() -> dict[str, Ask | NotThere]:
    claims = {"type": "access", "fresh": False, "jti": "7"}
    tokens = jwts(**claims)
    good = tokens["success"]
    found: dict[str, Ask | NotThere] = {case: Ask.bearer(token) for case, token in tokens.items()}
    return found | {
        "none": Ask(),
        "wrong scheme": Ask.bearer("Ym9iOm9mIG5vIHVzZQ==", scheme="Basic"),
        "empty": Ask((("Authorization", "Bearer"),)),
        "revoked": Ask.bearer(jwts(**claims | {"jti": WITHDRAWN})["success"]),
        "another's object": Ask.bearer(good, "/orders/of/7"),
        "two tokens": Ask.bearer(good)._replace(query=f"access_token={tokens['bad signature']}"),
        "query token": Ask(query=f"access_token={good}"),
    }
