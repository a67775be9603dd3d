"""The requests all variants are measured with: a bearer JWT and a client's usual headers.

Every request is built anew, with its own strings, as a server does: nothing may profit from a hash that an
earlier request has left in a shared string object.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import itertools
import json
import sys
import time
import uuid
from base64 import urlsafe_b64encode
from typing import Any

__all__ = ["FRESH", "ODD", "TOKENS", "USUAL", "environs", "jwt", "scopes"]

USUAL, FRESH, ODD = "usual", "fresh", "odd"
"""Kinds of requests: the usual ones; each with a token that none has brought before; with a UUID and a query."""

_AGENTS = (
    "shop-client/4.2 (linux; x86_64) python-httpx/0.28",
    "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0",
    "okhttp/4.12.0",
)


def _b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def jwt(number: int, secret: bytes = b"a secret only this benchmark uses") -> str:
    """A signed JWT of about 300 characters for client *number*, an hour from its end."""
    now = int(time.time())
    header = {"alg": "HS256", "typ": "at+jwt", "kid": "2026-11"}
    claims = {
        "iss": "https://issuer.example",
        "aud": "orders",
        "sub": f"user-{number}",
        "client_id": "shop",
        "scope": "orders:read orders:write",
        "iat": now,
        "exp": now + 3600,
        "jti": hashlib.sha256(str(number).encode()).hexdigest()[:16],
    }
    signing = ".".join(_b64(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
    return f"{signing}.{_b64(hmac.digest(secret, signing.encode(), 'sha256'))}"


TOKENS = tuple(jwt(number).encode() for number in range(64))
"""Clients come again and again, each with its token, address and user agent."""


_others = itertools.count(len(TOKENS))


def _fresh() -> bytes:
    """A token that no request has brought before."""
    return jwt(next(_others)).encode()


def _drawn(number: int) -> tuple[int, int]:
    """Who asks in request *number*, and for what: half of it for 50 orders, half for one of 100,000."""
    drawn = int.from_bytes(hashlib.blake2b(number.to_bytes(8), digest_size=8).digest())
    order = drawn // 128
    return drawn % len(TOKENS), order % 50 if drawn & 64 else order % 100_000


_ODD_QUERY = "page=2&q=shoes"


def _odd_path(number: int) -> str:
    return f"/organizations/{uuid.UUID(int=number << 64 | number)}/memberships"


def environs(count: int, first: int = 0, kind: str = USUAL) -> list[dict[str, Any]]:
    """WSGI environs of *count* requests (PEP 3333)."""
    environs = []
    for number in range(first, first + count):
        client, order = _drawn(number)
        token = _fresh() if kind == FRESH else TOKENS[client]
        path = _odd_path(order) if kind == ODD else f"/orders/{order}"
        environs.append(
            {
                "REQUEST_METHOD": "GET",
                "SCRIPT_NAME": "",
                "PATH_INFO": path,
                "QUERY_STRING": _ODD_QUERY if kind == ODD else "",
                "SERVER_NAME": "127.0.0.1",
                "SERVER_PORT": "8000",
                "SERVER_PROTOCOL": "HTTP/1.1",
                "REMOTE_ADDR": f"203.0.113.{client}",
                "REMOTE_PORT": "51234",
                "HTTP_HOST": "api.example.com",
                "HTTP_USER_AGENT": _AGENTS[client % 3].encode().decode(),
                "HTTP_ACCEPT": "application/json",
                "HTTP_ACCEPT_ENCODING": "gzip, deflate",
                "HTTP_CONNECTION": "keep-alive",
                "HTTP_AUTHORIZATION": (b"Bearer " + token).decode(),
                "wsgi.version": (1, 0),
                "wsgi.url_scheme": "http",
                "wsgi.input": io.BytesIO(),
                "wsgi.errors": sys.stderr,
                "wsgi.multithread": False,
                "wsgi.multiprocess": True,
                "wsgi.run_once": False,
            }
        )
    return environs


def scopes(count: int, first: int = 0, kind: str = USUAL) -> list[dict[str, Any]]:
    """ASGI scopes of *count* requests."""
    scopes = []
    for number in range(first, first + count):
        client, order = _drawn(number)
        token = _fresh() if kind == FRESH else TOKENS[client]
        path = _odd_path(order) if kind == ODD else f"/orders/{order}"
        scopes.append(
            {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.3"},
                "http_version": "1.1",
                "method": "GET",
                "scheme": "http",
                "path": path,
                "raw_path": path.encode(),
                "query_string": _ODD_QUERY.encode() if kind == ODD else b"",
                "root_path": "",
                "headers": [
                    (b"host", b"api.example.com"),
                    (b"user-agent", _AGENTS[client % 3].encode()),
                    (b"accept", b"application/json"),
                    (b"accept-encoding", b"gzip, deflate"),
                    (b"connection", b"keep-alive"),
                    (b"authorization", b"Bearer " + token),
                ],
                "client": (f"203.0.113.{client}", 51234),
                "server": ("127.0.0.1", 8000),
                "state": {},
            }
        )
    return scopes
