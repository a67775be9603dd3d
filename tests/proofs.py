"""Senders who prove to have a key: DPoP (RFC 9449)."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

from joserfc import jws
from joserfc.jwk import JWKRegistry

from fakes import b64, draw
from issuers import At

__all__ = ["Sender"]


class Sender:
    """Somebody with a key of their own."""

    def __init__(self, alg: str = "ES256", kind: str = "EC", size: Any = "P-256") -> None:
        self.alg = alg
        self.key = JWKRegistry.generate_key(kind, size)

    @property
    def jkt(self) -> str:
        return self.key.thumbprint()

    def claims(self, token: str, method: str, url: str, **more: Any) -> dict[str, Any]:
        good = {
            "jti": draw.randbytes(8).hex(),
            "htm": method,
            "htu": url,
            "iat": int(time.time()),
            "ath": b64(hashlib.sha256(token.encode()).digest()),
        }
        return At.made({name: value for name, value in (good | more).items() if value is not ...})

    def proof(
        self,
        token: str,
        method: str = "GET",
        url: str = "https://api.test/orders",
        header: dict[str, Any] | None = None,
        payload: bytes | None = None,
        **claims: Any,
    ) -> str:
        """A proof for one request; *header*, *claims* and *payload* are what it is to have instead."""
        head = {"typ": "dpop+jwt", "alg": self.alg, "jwk": self.key.as_dict(private=False)} | (header or {})
        head = {name: value for name, value in head.items() if value is not ...}
        body = json.dumps(self.claims(token, method, url, **claims)).encode() if payload is None else payload
        signing_input = f"{b64(json.dumps(head).encode())}.{b64(body)}"
        return f"{signing_input}.{b64(jws.JWSRegistry.algorithms[self.alg].sign(signing_input.encode(), self.key))}"
