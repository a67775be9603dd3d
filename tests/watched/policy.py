"""What the API on every framework does with a token. It verifies for real: PyJWT, or a table of opaque tokens."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jwt

__all__ = ["Answer", "chunks", "guard", "issue", "opaque", "order"]

KEY = hashlib.sha256(b"the issuer's key").digest()


def opaque(name: str) -> str:
    """The opaque token of *name*: the same in every process, and literally nowhere."""
    return hashlib.sha256(f"token of {name}".encode()).hexdigest()


def issue(*, key: bytes = KEY, lasts: float = 600, algorithm: str = "HS256", **claims: Any) -> str:
    """A JWT that the API takes, unless told otherwise."""
    whole = {"sub": "alice", "exp": int(time.time() + lasts), "scope": "orders:read"} | claims
    return jwt.encode(whole, None if algorithm == "none" else key, algorithm=algorithm)


class Answer(NamedTuple):
    """What to answer, whatever the framework."""

    status: int
    body: str
    challenge: str | None = None


def guard(authorization: str | None, query_token: str | None, scope: str = "orders:read") -> Answer | None:
    """``None`` for a token with *scope*, else the refusal (RFC 6750 §3.1)."""
    if authorization is None and query_token is None:
        return Answer(401, "no token", 'Bearer realm="shop"')
    if authorization is not None and query_token is not None:
        return Answer(400, "two tokens", 'Bearer error="invalid_request"')
    if authorization is None:
        token = query_token or ""
    else:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return Answer(401, "not a bearer token", 'Bearer realm="shop"')
    granted = _scopes(token.strip())
    if granted is None:
        return Answer(401, "not that token", 'Bearer realm="shop", error="invalid_token"')
    if granted == "revoked":
        return Answer(401, "no more", 'Bearer error="invalid_token", error_description="The token was revoked"')
    if scope not in granted.split():
        return Answer(403, "not with these scopes", f'Bearer error="insufficient_scope", scope="{scope}"')
    return None


def _scopes(token: str) -> str | None:
    if token == opaque("alice"):
        return "orders:read"
    if token == opaque("mallory"):
        return "revoked"
    try:
        return str(jwt.decode(token, KEY, algorithms=["HS256"]).get("scope", ""))
    except jwt.PyJWTError:
        return None


def order(authorization: str | None, query_token: str | None, order_id: str) -> Answer:
    """One order. Those whose ids begin with ``x`` are somebody else's."""
    refused = guard(authorization, query_token)
    if refused is not None:
        return refused
    if order_id.startswith("x"):
        return Answer(403, "not yours")
    return Answer(200, f"order {order_id}")


def chunks(*, fails: bool = False) -> Iterator[bytes]:
    """A body in three pieces; with *fails* it breaks after two."""
    yield b"one "
    yield b"two "
    if fails:
        raise OSError("the database went away")
    yield b"three"
