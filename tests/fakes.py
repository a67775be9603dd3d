"""Made-up credentials, the test whether a piece of one is to be read somewhere, and a port nobody has."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import socket
import string
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["at_once", "b64", "draw", "free_port", "jwt", "leaked", "opaque", "secret_part", "token_urlsafe"]

draw = random.Random()
"""What made-up credentials are drawn from: of the same test and seed the same ones (see ``own_process``)."""

_ALPHABET = string.ascii_letters + string.digits
_SIGNING_KEY = b"what the pretended issuer signs with"
WINDOW = 12
"""Characters of a token in a row that count as a leak."""


def opaque(length: int = 40, alphabet: str = _ALPHABET) -> str:
    """A random opaque token."""
    return "".join(draw.choices(alphabet, k=length))


def token_urlsafe(length: int) -> str:
    """As of :func:`secrets.token_urlsafe`: *length* random bytes."""
    return b64(draw.randbytes(length))


def b64(data: bytes) -> str:
    """Base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def jwt(claims: Any = None, *, header: Any = None, signature: str | None = None) -> str:
    """A JWT; *claims* and *header* may be anything JSON has, or raw bytes."""
    header = {"alg": "HS256", "typ": "JWT"} if header is None else header
    claims = {"sub": "u-1", "jti": draw.randbytes(8).hex()} if claims is None else claims
    parts = [b64(part if isinstance(part, bytes) else json.dumps(part).encode()) for part in (header, claims)]
    signed = ".".join(parts)
    if signature is None:
        signature = b64(hmac.new(_SIGNING_KEY, signed.encode(), hashlib.sha256).digest())
    return f"{signed}.{signature}"


def secret_part(token: str) -> str:
    """What of *token* nobody may read: all of it, but of a JWT not its header, which is the same for many."""
    head, dot, rest = token.partition(".")
    return rest if dot and head.startswith("eyJ") else token


def leaked(token: str, *texts: str | bytes) -> list[str]:
    """Pieces of *token*, twelve characters long, that are to be read in *texts*."""
    secret = secret_part(token)
    whole = "\n".join(text.decode("utf-8", "replace") if isinstance(text, bytes) else text for text in texts)
    pieces = {secret[at : at + WINDOW] for at in range(max(len(secret) - WINDOW, 0) + 1)}
    return sorted(piece for piece in pieces if len(piece) == WINDOW and piece in whole)


def free_port() -> int:
    """A port of loopback where nobody listens yet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def at_once(work: Callable[[], None], threads: int = 4) -> None:
    """Do *work* in several threads at once, and wait for all of them."""
    running = [threading.Thread(target=work) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
