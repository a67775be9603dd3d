"""JWTs for the cases, of any library that checks HS256 with one key."""

from __future__ import annotations

import time
from typing import Any

import jwt

from fakes import b64, opaque

__all__ = ["AUDIENCE", "ISSUER", "SECRET", "jwts"]

SECRET = "the key of an issuer that exists in tests alone, long enough for HS256"
_UNSECURED = b'{"alg":"none","typ":"JWT"}'
ISSUER, AUDIENCE = "https://issuer.test", "orders"


def jwts(header: dict[str, Any] | None = None, **more: Any) -> dict[str, str]:
    """By case a token; *more* are claims that all of them have, and *header* is what their headers have besides."""
    now = int(time.time())
    good = {"sub": "41", "iss": ISSUER, "aud": AUDIENCE, "iat": now - 60, "exp": now + 3600, "scope": "read"} | more

    def made(key: str = SECRET, **claims: Any) -> str:
        return jwt.encode(good | claims, key, "HS256", header)

    head, payload, signature = made().split(".")
    turned = "A" if signature[9] != "A" else "B"
    return {
        "malformed": "eyJhbGciOiJIUzI1NiJ9.not!json.x",
        "bad signature": f"{head}.{payload}.{signature[:9]}{turned}{signature[10:]}",
        "alg none": f"{b64(_UNSECURED)}.{payload}.",
        "unknown key": made(opaque(48)),
        "wrong issuer": made(iss="https://elsewhere.test"),
        "wrong audience": made(aud="another-service"),
        "not yet valid": made(nbf=now + 3000),
        "expired": made(exp=now - 300),
        "success": made(),
        "too little scope": made(scope="nothing"),
    }
