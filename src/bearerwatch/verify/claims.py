"""What the claims of an authentic access token are to be (RFC 7519 §4.1, RFC 8725 §3.8 to §3.11, RFC 9068 §4)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from bearerwatch.errors import ConfigurationError
from bearerwatch.event import Outcome
from bearerwatch.verify.verdict import Verdict

__all__ = ["RFC9068", "Expected", "concluded", "is_date", "media", "misaddressed", "scopes_of"]

RFC9068 = ("iss", "exp", "aud", "sub", "client_id", "iat", "jti")
"""Claims that every access token has (RFC 9068 §2.2)."""
_DATES = ("exp", "nbf", "iat")
_TEXTS = ("sub", "client_id", "jti", "azp")
_MAX_LEEWAY = 300
_MAX_DATE = 2**53
_BAD = "bad_claim"


class Expected:
    """What this service takes. The arguments are those of :class:`~bearerwatch.verify.jwt.JwtVerifier`.

    Raises:
        ConfigurationError: an argument cannot be used.
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str | Collection[str],
        leeway: float,
        typ: str | Sequence[str | None],
        required: Sequence[str] | None,
        clock: Callable[[], float],
    ) -> None:
        types = [typ] if isinstance(typ, str) else typ
        self._issuer = issuer
        self._audience = frozenset([audience] if isinstance(audience, str) else audience)
        self._leeway = leeway
        self._types = frozenset(None if one is None else media(one) for one in types)
        if required is None:
            required = RFC9068 if self._types == {"at+jwt"} else ("iss", "aud", "exp")
        self._required = tuple(dict.fromkeys((*required, "exp")))
        self._clock = clock
        if not issuer:
            raise ConfigurationError("issuer: name it as tokens have it in iss, such as https://login.example.com")
        if not self._audience or "" in self._audience:
            raise ConfigurationError("audience: name this service as tokens have it in aud; else any token would do")
        if not 0 <= leeway <= _MAX_LEEWAY:
            raise ConfigurationError(f"leeway: give 0 to {_MAX_LEEWAY} seconds")
        if not self._types:
            raise ConfigurationError("typ: name at least one, such as at+jwt, or None where tokens have none")

    def __call__(self, claims: dict[str, Any], typ: str | None) -> Verdict:
        """What a token with *claims* is good for, whose signature is good and whose header says *typ*."""
        scopes = scopes_of(claims)
        reason = self._addressed(claims, typ) or self._timely(claims)
        if reason is None and (scopes is None or not all(isinstance(claims.get(name), str | None) for name in _TEXTS)):
            reason = _BAD
        client = claims.get("client_id") or claims.get("azp")
        return concluded(claims, reason, issuer=self._issuer, subject=claims.get("sub"), client=client)

    def _addressed(self, claims: Mapping[str, Any], typ: str | None) -> str | None:
        """What is wrong with whose the token is and for whom; that goes before its dates."""
        issuer, audience = claims.get("iss"), claims.get("aud")
        if issuer is not None and issuer != self._issuer:
            return "wrong_issuer" if isinstance(issuer, str) else _BAD
        if typ not in self._types:
            return "wrong_type"
        if audience is not None and (reason := misaddressed(audience, self._audience)) is not None:
            return reason
        return "missing_claim" if any(claims.get(name) is None for name in self._required) else None

    def _timely(self, claims: Mapping[str, Any]) -> str | None:
        """What is wrong with the token's dates."""
        if not all(is_date(claims[name]) for name in _DATES if name in claims):
            return _BAD
        now = self._clock()
        if claims["exp"] + self._leeway <= now:
            return "past_exp"
        if claims.get("nbf", now) - self._leeway > now:
            return "not_yet_valid"
        return _BAD if claims.get("iat", now) - self._leeway > now else None


_OUTCOMES = {None: Outcome.SUCCESS, "past_exp": Outcome.EXPIRED}


def concluded(
    claims: Mapping[str, Any], reason: str | None, *, issuer: str | None, subject: object, client: object
) -> Verdict:
    """The verdict on an authentic token.

    Args:
        claims: those it has.
        reason: what is wrong with it, if anything is.
        issuer: whose tokens are taken; the verdict names it if the token does.
        subject: who holds it; no text says nobody.
        client: whom it was issued to, likewise.
    """
    expires = claims.get("exp")
    return Verdict(
        outcome=_OUTCOMES.get(reason, Outcome.INVALID),
        reason=reason,
        verified=True,
        subject=subject if isinstance(subject, str) else None,
        issuer=issuer if claims.get("iss") == issuer else None,
        client_id=client if isinstance(client, str) else None,
        scopes=scopes_of(claims) or (),
        expires_at=int(expires) if expires is not None and is_date(expires) else None,
        claims=claims,
    )


def misaddressed(audience: object, names: frozenset[str]) -> str | None:
    """What is wrong with an ``aud`` that is there (RFC 7519 §4.1.3), where one of *names* will do."""
    listed = audience if isinstance(audience, list) else [audience]
    if not all(isinstance(one, str) for one in listed):
        return _BAD
    return "wrong_audience" if names.isdisjoint(listed) else None


def media(typ: str) -> str:
    """A media type in lower case and without what may be left out of it (RFC 7515 §4.1.9)."""
    return typ.lower().removeprefix("application/")


def is_date(value: object) -> bool:
    """Whether *value* is a NumericDate (RFC 7519 §2): a number, finite, and of a time that there will be."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return (isinstance(value, int) or math.isfinite(value)) and -_MAX_DATE < value < _MAX_DATE


def scopes_of(claims: Mapping[str, Any]) -> tuple[str, ...] | None:
    """What ``scope`` says (RFC 9068 §2.2.3), or ``scp``, as some issuers call it; ``None`` if it is of no such form."""
    said = claims.get("scope", claims.get("scp"))
    if said is None:
        return ()
    if isinstance(said, str):
        return tuple(said.split())
    if isinstance(said, list) and all(isinstance(one, str) for one in said):
        return tuple(said)
    return None
