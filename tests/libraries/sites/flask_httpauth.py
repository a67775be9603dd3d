"""An API on Flask with Flask-HTTPAuth, whose ``verify_token`` checks JWTs with PyJWT, watched by one line.

Its authenticator is there before what watches it, as where it has a module of its own.
"""

from __future__ import annotations

from typing import Any

import jwt
from flask import Flask, abort, jsonify
from flask_httpauth import HTTPTokenAuth

from bearerwatch.flask import Bearerwatch
from libraries.cases import Ask, NotThere
from libraries.jwts import AUDIENCE, ISSUER, SECRET, jwts

WITHDRAWN = "9"

auth, awaited_auth = HTTPTokenAuth(scheme="Bearer"), HTTPTokenAuth(scheme="Bearer")
app, awaited = Flask(__name__), Flask(__name__)


@auth.verify_token
def verify_token(token: str) -> dict[str, Any] | None:
    try:
        payload: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    except jwt.PyJWTError:
        return None
    return None if payload.get("jti") == WITHDRAWN else payload


@awaited_auth.verify_token
async def verify_token_awaited(token: str) -> dict[str, Any] | None:
    return verify_token(token)


@auth.get_user_roles
@awaited_auth.get_user_roles
def roles(user: dict[str, Any]) -> list[str]:
    return str(user["scope"]).split()


@app.get("/orders")
@auth.login_required(role="read")
def orders() -> Any:
    return jsonify(orders=[])


@app.get("/orders/of/<owner>")
@auth.login_required
def orders_of(owner: str) -> Any:
    if owner != auth.current_user()["sub"]:
        abort(403)
    return jsonify(orders=[])


@awaited.get("/orders")
@awaited_auth.login_required(role="read")
async def orders_awaited() -> Any:
    return jsonify(orders=[])


@awaited.get("/orders/of/<owner>")
@awaited_auth.login_required
async def orders_of_awaited(owner: str) -> Any:
    if owner != awaited_auth.current_user()["sub"]:
        abort(403)
    return jsonify(orders=[])


Bearerwatch(app)
Bearerwatch(awaited)


def stacks() -> dict[str, tuple[str, Any]]:
    return {"sync": ("wsgi", app), "async": ("wsgi", awaited)}


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
