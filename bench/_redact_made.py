"""What differs from line to line of a log, made up: the same seed makes the same. No token is written down anywhere."""

from __future__ import annotations

import base64
import hmac
import json
import random
import string

__all__ = ["Maker", "leaked"]

_ALPHABET = string.ascii_letters + string.digits
_WINDOW = 12
"""Characters of a secret in a row that count as a leak."""


class Maker:
    """Makes up ids, tokens and all else.

    Args:
        seed: of what is drawn.
    """

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)

    def text(self, length: int) -> str:
        """An opaque token."""
        return "".join(self.draw.choices(_ALPHABET, k=length))

    def hex(self, length: int) -> str:
        """An id of a span or a trace."""
        return f"{self.draw.getrandbits(4 * length):0{length}x}"

    def uuid(self) -> str:
        """A random UUID (RFC 9562 §5.4)."""
        h = self.hex(32)
        return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"

    def jwt(self) -> str:
        """A signed JWT of some 270 characters."""
        claims = {
            "iss": "https://issuer.example",
            "aud": "orders",
            "sub": f"user-{self.draw.randrange(10**6)}",
            "exp": 1_790_000_000 + self.draw.randrange(10**7),
            "jti": self.hex(16),
        }
        parts = ({"alg": "HS256", "typ": "at+jwt", "kid": "2026-11"}, claims)
        signing = ".".join(_b64(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
        return f"{signing}.{_b64(hmac.digest(b'a key only this log uses', signing.encode(), 'sha256'))}"


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def leaked(secret: str, text: str) -> bool:
    """Whether twelve characters of *secret* in a row are to be read in *text*; a JWT's header is the same for many."""
    head, dot, rest = secret.partition(".")
    secret = rest if dot and head.startswith("eyJ") else secret
    return any(secret[at : at + _WINDOW] in text for at in range(len(secret) - _WINDOW + 1))
