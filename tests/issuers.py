"""Issuers that exist in tests alone: their keys are made when they are first asked for, and their tokens each time."""

from __future__ import annotations

import json
import time
from functools import cache
from typing import Any, NamedTuple

from joserfc import jws
from joserfc.jwk import JWKRegistry

from fakes import b64, draw

__all__ = ["AUDIENCE", "ISSUER", "At", "Issuer", "issuer"]

ISSUER, AUDIENCE = "https://issuer.test", "orders"
_KINDS = {
    "RS256": ("RSA", 2048),
    "PS256": ("RSA", 2048),
    "ES256": ("EC", "P-256"),
    "ES512": ("EC", "P-521"),
    "ES256K": ("EC", "secp256k1"),
    "Ed25519": ("OKP", "Ed25519"),
    "EdDSA": ("OKP", "Ed25519"),
    "HS256": ("oct", 256),
}


class At(NamedTuple):
    """A time that many seconds from when a token is made, for cases that are written down before."""

    seconds: float

    @classmethod
    def made(cls, claims: dict[str, Any]) -> dict[str, Any]:
        """*claims* with times in place of these."""
        now = int(time.time())
        return {name: now + value.seconds if isinstance(value, cls) else value for name, value in claims.items()}


class Issuer:
    """Signs by one key."""

    def __init__(self, alg: str, kid: str) -> None:
        kind, size = _KINDS[alg]
        self.alg, self.kid = alg, kid
        self.key = JWKRegistry.generate_key(kind, size, {"kid": kid, "alg": alg, "use": "sig"})

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key, or the secret where there is none."""
        return dict(self.key.as_dict(private=False))

    def claims(self, **more: Any) -> dict[str, Any]:
        """Those of a good access token (RFC 9068 §2.2), and *more*; what is ``...`` is left out."""
        now = int(time.time())
        good = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "41",
            "client_id": "web",
            "jti": draw.randbytes(8).hex(),
            "iat": now - 60,
            "exp": now + 3600,
            "scope": "read",
        }
        return At.made({name: value for name, value in (good | more).items() if value is not ...})

    def token(self, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A signed access token; see :meth:`claims`."""
        return self.signed(json.dumps(self.claims(**claims)).encode(), header=header)

    def signed(self, payload: bytes, *, header: dict[str, Any] | None = None) -> str:
        """Whatever *payload* is, signed, under a header that may be anything."""
        made = {"alg": self.alg, "kid": self.kid, "typ": "at+jwt"} | (header or {})
        return self.raw(json.dumps({name: value for name, value in made.items() if value is not ...}).encode(), payload)

    def raw(self, header: bytes, payload: bytes) -> str:
        """As :meth:`signed`, with the header's very bytes."""
        signing_input = f"{b64(header)}.{b64(payload)}"
        signature = jws.JWSRegistry.algorithms[self.alg].sign(signing_input.encode(), self.key)
        return f"{signing_input}.{b64(signature)}"


@cache
def issuer(alg: str = "ES256", kid: str = "k1") -> Issuer:
    """The issuer with that key: the same one whenever it is asked for."""
    return Issuer(alg, kid)
