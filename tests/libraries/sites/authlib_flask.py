"""An API on Flask whose opaque tokens Authlib's resource protector checks, watched by one line."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from authlib.integrations.flask_oauth2 import ResourceProtector, current_token
from authlib.oauth2.rfc6749 import TokenMixin
from authlib.oauth2.rfc6750 import BearerTokenValidator
from flask import Flask, abort, jsonify

from bearerwatch.flask import Bearerwatch
from fakes import opaque
from libraries.cases import Ask, NotThere


@dataclass
class Token(TokenMixin):  # type: ignore[misc]
    """A row of the table of tokens, as the documentation has it."""

    access_token: str
    user_id: int = 41
    client_id: str = "shop"
    scope: str = "read"
    expires_at: float = time.time() + 3600
    revoked: bool = False

    def get_scope(self) -> str:
        return self.scope

    def is_expired(self) -> bool:
        return self.expires_at < time.time()

    def is_revoked(self) -> bool:
        return self.revoked


ISSUED = {
    "success": Token(opaque()),
    "expired": Token(opaque(), expires_at=time.time() - 300),
    "revoked": Token(opaque(), revoked=True),
    "too little scope": Token(opaque(), scope="nothing"),
}


class Validator(BearerTokenValidator):  # type: ignore[misc]
    def authenticate_token(self, token_string: str) -> Token | None:
        return next((token for token in ISSUED.values() if token.access_token == token_string), None)


def stacks() -> dict[str, tuple[str, Any]]:
    app = Flask(__name__)
    require_oauth = ResourceProtector()
    require_oauth.register_token_validator(Validator())

    @app.get("/orders")
    @require_oauth("read")
    def orders() -> Any:
        return jsonify(orders=[])

    @app.get("/orders/of/<int:owner>")
    @require_oauth("read")
    def orders_of(owner: int) -> Any:
        if owner != current_token.user_id:
            abort(403)
        return jsonify(orders=[])

    Bearerwatch(app)
    return {"sync": ("wsgi", app)}


def asks() -> dict[str, Ask | NotThere]:
    good = ISSUED["success"].access_token
    found: dict[str, Ask | NotThere] = {case: Ask.bearer(token.access_token) for case, token in ISSUED.items()}
    return found | {
        "none": Ask(),
        "wrong scheme": Ask.bearer("Ym9iOm9mIG5vIHVzZQ==", scheme="Basic"),
        "empty": Ask((("Authorization", "Bearer"),)),
        "malformed": Ask.bearer("not!a!token!at!all!whoever!looks"),
        "bad signature": NotThere("an opaque token has no signature"),
        "alg none": NotThere("an opaque token has no header"),
        "unknown key": Ask.bearer(opaque()),
        "wrong issuer": NotThere("an opaque token has no claims"),
        "wrong audience": NotThere("an opaque token has no claims"),
        "not yet valid": NotThere("an opaque token has no claims"),
        "another's object": Ask.bearer(good, "/orders/of/7"),
        "two tokens": Ask.bearer(good)._replace(query=f"access_token={opaque()}"),
        "query token": Ask(query=f"access_token={good}"),
    }
