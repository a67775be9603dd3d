"""An API on Flask whose JWTs Authlib's resource protector checks as RFC 9068 has it, watched by one line."""

from __future__ import annotations

from typing import Any

from authlib.integrations.flask_oauth2 import ResourceProtector, current_token
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from flask import Flask, abort, jsonify

from bearerwatch.flask import Bearerwatch
from libraries.authlib_keys import keys
from libraries.cases import Ask, NotThere
from libraries.jwts import AUDIENCE, ISSUER, SECRET, jwts

KEYS = keys(k=SECRET)


class Validator(JWTBearerTokenValidator):  # type: ignore[misc]
    def get_jwks(self) -> Any:
        return KEYS


def stacks() -> dict[str, tuple[str, Any]]:
    app = Flask(__name__)
    require_oauth = ResourceProtector()
    require_oauth.register_token_validator(Validator(issuer=ISSUER, resource_server=AUDIENCE))

    @app.get("/orders")
    @require_oauth("read")
    def orders() -> Any:
        return jsonify(orders=[])

    @app.get("/orders/of/<owner>")
    @require_oauth("read")
    def orders_of(owner: str) -> Any:
        if owner != current_token["sub"]:
            abort(403)
        return jsonify(orders=[])

    Bearerwatch(app)
    return {"sync": ("wsgi", app)}


def asks() -> dict[str, Ask | NotThere]:
    tokens = jwts({"typ": "at+jwt"}, client_id="shop", jti="7")
    good = tokens["success"]
    found: dict[str, Ask | NotThere] = {case: Ask.bearer(token) for case, token in tokens.items()}
    return found | {
        "none": Ask(),
        "wrong scheme": Ask.bearer("Ym9iOm9mIG5vIHVzZQ==", scheme="Basic"),
        "empty": Ask((("Authorization", "Bearer"),)),
        "revoked": NotThere("it asks nobody whether a JWT is withdrawn"),
        "another's object": Ask.bearer(good, "/orders/of/7"),
        "two tokens": Ask.bearer(good)._replace(query=f"access_token={tokens['bad signature']}"),
        "query token": Ask(query=f"access_token={good}"),
    }
