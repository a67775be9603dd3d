"""The shop's tokens: signed JWTs for people, opaque keys for scripts, and how each is refused (RFC 6750).

No token is ever stored: of an opaque key the ledger keeps its SHA-256, of a revoked JWT its ``jti``.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from dataclasses import dataclass
from typing import Protocol

import jwt

__all__ = ["Holder", "Ledger", "Refused", "Tokens", "bearer_from"]

ISSUER = "https://login.shop.example"
AUDIENCE = "shop-api"
REALM = "shop"
_KEY_PREFIX = "shopkey_"


@dataclass(frozen=True)
class Holder:
    """Who presented a good token, and what it is good for."""

    name: str
    scope: str
    reference: str
    """What the ledger knows the token by: a ``jti``, or the SHA-256 of an opaque key."""

    def require(self, scope: str) -> None:
        """Refuse unless *scope* was granted (RFC 6750 §3.1)."""
        if scope not in self.scope.split():
            raise Refused(403, "insufficient_scope", f"This needs the scope {scope}", extra=f', scope="{scope}"')


class Refused(Exception):  # noqa: N818 - reads as the sentence it is
    """A request without a good enough token, and the answer it gets."""

    def __init__(self, status: int, error: str = "", description: str = "", *, extra: str = "") -> None:
        super().__init__(description or "A token is needed")
        self.status = status
        self.challenge = f'Bearer realm="{REALM}"'
        if error:
            self.challenge += f', error="{error}", error_description="{description}"{extra}'

    @property
    def body(self) -> dict[str, str]:
        """What the caller reads."""
        return {"detail": str(self)}

    @property
    def headers(self) -> dict[str, str]:
        """The challenge every 401, and a 403 for lack of scope, carries."""
        return {"WWW-Authenticate": self.challenge}


class Ledger(Protocol):
    """Where a sample remembers opaque keys and revocations. Holds digests, never tokens."""

    def remember_key(self, digest: str, name: str, scope: str) -> None:
        """A new opaque key."""

    def find_key(self, digest: str) -> tuple[str, str] | None:
        """Name and scope of the holder of an opaque key."""

    def revoke(self, reference: str) -> None:
        """From now on the token known by *reference* is refused."""

    def is_revoked(self, reference: str) -> bool:
        """Whether it was revoked."""


class Tokens:
    """Issues, checks and revokes."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._secret = os.environ.get("SHOP_JWT_SECRET", "demonstration-only-set-SHOP_JWT_SECRET")
        self._seconds = int(os.environ.get("SHOP_TOKEN_SECONDS", "900"))

    def issue(self, name: str, scope: str, *, seconds: int | None = None) -> dict[str, str | int]:
        """A JWT access token, as an OAuth token response (RFC 6749 §5.1)."""
        now = int(time.time())
        life = self._seconds if seconds is None else max(1, min(seconds, self._seconds))
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": name,
            "scope": scope,
            "iat": now,
            "exp": now + life,
            "jti": secrets.token_urlsafe(12),
        }
        token = jwt.encode(claims, self._secret, algorithm="HS256", headers={"typ": "at+jwt"})
        return {"access_token": token, "token_type": "Bearer", "expires_in": life, "scope": scope}

    def issue_key(self, name: str, scope: str) -> dict[str, str]:
        """An opaque key, shown this once."""
        key = _KEY_PREFIX + secrets.token_urlsafe(32)
        self._ledger.remember_key(_digest(key), name, scope)
        return {"api_key": key, "scope": scope}

    def holder(self, token: str | None) -> Holder:
        """Whose token this is.

        Raises:
            Refused: it is missing, not ours, expired or revoked; the exception is the answer.
        """
        if not token:
            raise Refused(401)
        holder = self._of_key(token) if token.startswith(_KEY_PREFIX) else self._of_jwt(token)
        if self._ledger.is_revoked(holder.reference):
            raise Refused(401, "invalid_token", "The token was revoked")
        return holder

    def revoke(self, holder: Holder) -> None:
        """Log out: the token *holder* came with is refused from now on."""
        self._ledger.revoke(holder.reference)

    def _of_key(self, key: str) -> Holder:
        digest = _digest(key)
        found = self._ledger.find_key(digest)
        if found is None:
            raise Refused(401, "invalid_token", "The token is not valid")
        return Holder(found[0], found[1], digest)

    def _of_jwt(self, token: str) -> Holder:
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=["HS256"],
                issuer=ISSUER,
                audience=AUDIENCE,
                options={"require": ["exp", "iss", "aud", "sub", "jti"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise Refused(401, "invalid_token", "The token expired") from error
        except jwt.InvalidTokenError as error:
            raise Refused(401, "invalid_token", "The token is not valid") from error
        return Holder(claims["sub"], claims.get("scope", ""), claims["jti"])


def bearer_from(header: str | None, query: str | None = None) -> str | None:
    """The token of a request: from ``Authorization``, else ``?access_token=`` (download links, websockets).

    Raises:
        Refused: there is an ``Authorization`` header of another scheme.
    """
    if not header:
        return query or None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise Refused(401, "invalid_request", "Only bearer tokens are taken here")
    return token.strip() or None


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
