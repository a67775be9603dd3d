"""What is tried with every library, and what each of them makes of it."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CASES", "Ask", "Cell", "NotThere"]

CASES = {
    "none": "no token",
    "wrong scheme": "credentials of another scheme",
    "empty": "a scheme without a token",
    "malformed": "what cannot be a token",
    "bad signature": "a JWT whose signature was changed",
    "alg none": "an unsecured JWT",
    "unknown key": "a JWT signed with a key nobody knows, or an opaque token nobody issued",
    "wrong issuer": "another issuer's",
    "wrong audience": "for another audience",
    "not yet valid": "nbf lies ahead",
    "expired": "exp has passed",
    "revoked": "withdrawn",
    "too little scope": "without the scope that is asked for",
    "another's object": "of somebody else",
    "success": "a good token",
    "two tokens": "two at once",
    "query token": "in the query string",
}
"""The rows of the matrix."""


class Ask(NamedTuple):
    """A request."""

    headers: tuple[tuple[str, str], ...] = ()
    path: str = "/orders"
    query: str = ""

    @classmethod
    def bearer(cls, token: str, path: str = "/orders", scheme: str = "Bearer") -> Ask:
        """With *token* where it belongs."""
        return cls((("Authorization", f"{scheme} {token}"),), path)


class Cell(NamedTuple):
    """What is expected of one case."""

    outcome: str
    reason: str | None
    status: int
    verified: bool = False
    subject: bool = False
    """Whether the event has the pseudonym of the token's holder."""
    said: str = ""
    """Where the library cannot tell it apart: its code that hides the difference."""


class NotThere(NamedTuple):
    """A case that a library cannot have."""

    why: str
