"""An API on Flask that checks JWTs by itself with PyJWT, and says no more than 401 of one that will not do."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import jwt
from flask import Flask, abort, g, jsonify, request

from bearerwatch.flask import Bearerwatch
from libraries.cases import Ask, NotThere
from libraries.jwts import AUDIENCE, ISSUER, SECRET, jwts

WITHDRAWN = "9"


def signed_in(view: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(view)
    def checked(*args: Any, **kwargs: Any) -> Any:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            abort(401)
        try:
            g.claims = jwt.decode(token, SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
        except jwt.InvalidTokenError:
            abort(401)
        if g.claims.get("jti") == WITHDRAWN:
            abort(401)
        return view(*args, **kwargs)

    return checked


app = Flask(__name__)
Bearerwatch(app)


@app.get("/orders")
@signed_in
def orders() -> Any:
    if "read" not in g.claims["scope"].split():
        abort(403)
    return jsonify(orders=[])


@app.get("/orders/of/<owner>")
@signed_in
def orders_of(owner: str) -> Any:
    if owner != g.claims["sub"]:
        abort(403)
    return jsonify(orders=[])


def stacks() -> dict[str, tuple[str, Any]]:
    return {"sync": ("wsgi", app)}


def asks() -> dict[str, Ask | NotThere]:
    tokens = jwts(jti="7")
    good = tokens["success"]
    found: dict[str, Ask | NotThere] = {case: Ask.bearer(token) for case, token in tokens.items()}
    return found | {
        "none": Ask(),
        "wrong scheme": Ask.bearer("Ym9iOm9mIG5vIHVzZQ==", scheme="Basic"),
        "empty": Ask((("Authorization", "Bearer"),)),
        "revoked": Ask.bearer(jwts(jti=WITHDRAWN)["success"]),
        "another's object": Ask.bearer(good, "/orders/of/7"),
        "two tokens": Ask.bearer(good)._replace(query=f"access_token={tokens['bad signature']}"),
        "query token": Ask(query=f"access_token={good}"),
    }
