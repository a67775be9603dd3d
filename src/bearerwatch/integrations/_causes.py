"""What the exceptions of libraries that check tokens mean: data, by the full name of the class.

Applications raise their own from them (``except jwt.ExpiredSignatureError: raise HTTPException(401)``), and Python
keeps what was the cause (PEP 3134). So the reason is known without asking the library, or loading it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from bearerwatch.context import note
from bearerwatch.event import Outcome

__all__ = ["Cause", "cause_of", "causes", "note_cause"]

_MOST = 8


class Cause(NamedTuple):
    """What an exception says of the token."""

    outcome: Outcome
    reason: str | None = None
    verified: bool = False
    """Whether the signature had been checked before, and was good."""


_EXPIRED = Cause(Outcome.EXPIRED, "past_exp", verified=True)
_SIGNATURE = Cause(Outcome.INVALID, "bad_signature")
_AUDIENCE = Cause(Outcome.INVALID, "wrong_audience", verified=True)
_ISSUER = Cause(Outcome.INVALID, "wrong_issuer", verified=True)
_EARLY = Cause(Outcome.INVALID, "not_yet_valid", verified=True)
_ALGORITHM = Cause(Outcome.INVALID, "alg_not_allowed")
_KEY = Cause(Outcome.INVALID, "unknown_kid")
_TYPE = Cause(Outcome.INVALID, "wrong_type", verified=True)
_CLAIM = Cause(Outcome.INVALID, "missing_claim", verified=True)
_BAD_CLAIM = Cause(Outcome.INVALID, "bad_claim", verified=True)
_BROKEN = Cause(Outcome.MALFORMED, "not_jwt")

_CAUSES: dict[str, Cause] = {
    # https://pyjwt.readthedocs.io/en/stable/api.html#exceptions
    "jwt.exceptions.ExpiredSignatureError": _EXPIRED,
    "jwt.exceptions.InvalidSignatureError": _SIGNATURE,
    "jwt.exceptions.InvalidAudienceError": _AUDIENCE,
    "jwt.exceptions.InvalidIssuerError": _ISSUER,
    "jwt.exceptions.ImmatureSignatureError": _EARLY,
    "jwt.exceptions.InvalidAlgorithmError": _ALGORITHM,
    "jwt.exceptions.MissingRequiredClaimError": _CLAIM,
    "jwt.exceptions.InvalidSubjectError": _BAD_CLAIM,
    "jwt.exceptions.InvalidJTIError": _BAD_CLAIM,
    "jwt.exceptions.InvalidIssuedAtError": _BAD_CLAIM,
    "jwt.exceptions.PyJWKClientError": _KEY,
    "jwt.exceptions.DecodeError": _BROKEN,
    # https://jose.authlib.org/en/api/errors/
    "joserfc.errors.ExpiredTokenError": _EXPIRED,
    "joserfc.errors.BadSignatureError": _SIGNATURE,
    "joserfc.errors.UnsupportedAlgorithmError": _ALGORITHM,
    "joserfc.errors.InvalidKeyIdError": _KEY,
    "joserfc.errors.MissingClaimError": _CLAIM,
    "joserfc.errors.DecodeError": _BROKEN,
    # https://docs.authlib.org/en/stable/jose/
    "authlib.jose.errors.ExpiredTokenError": _EXPIRED,
    "authlib.jose.errors.BadSignatureError": _SIGNATURE,
    "authlib.jose.errors.UnsupportedAlgorithmError": _ALGORITHM,
    "authlib.jose.errors.MissingClaimError": _CLAIM,
    "authlib.jose.errors.InvalidTokenError": _EARLY,
    "authlib.jose.errors.DecodeError": _BROKEN,
    # https://python-jose.readthedocs.io/en/latest/jwt/api.html
    "jose.exceptions.ExpiredSignatureError": _EXPIRED,
    # https://itsdangerous.palletsprojects.com/en/stable/exceptions/
    "itsdangerous.exc.SignatureExpired": _EXPIRED,
    "itsdangerous.exc.BadSignature": _SIGNATURE,
}
_CLAIMS: dict[str, Cause] = {"aud": _AUDIENCE, "iss": _ISSUER, "nbf": _EARLY, "exp": _EXPIRED, "typ": _TYPE}
"""By the claim that an exception names, where its class says only that one is wrong."""
_OF_CLAIMS = {"joserfc.errors.InvalidClaimError": "claim", "authlib.jose.errors.InvalidClaimError": "claim_name"}
"""Such classes, and where they have its name."""


def causes(error: BaseException) -> Iterator[BaseException]:
    """*error* and what it was raised from, even ``from None``, which hides it from tracebacks alone; a few at most."""
    at: BaseException | None = error
    for _ in range(_MOST):
        if at is None:
            return
        yield at
        at = at.__cause__ or at.__context__


def note_cause(error: BaseException) -> bool:
    """Note what *error*, or what it was raised from, says of the token; whether it says anything."""
    for one in causes(error):
        found = cause_of(one)
        if found is not None:
            note(found.outcome, reason=found.reason, verified=found.verified)
            return True
    return False


def cause_of(error: BaseException) -> Cause | None:
    """What *error* says by itself, if anything."""
    found, where = _by_kind(type(error))  # type: ignore[arg-type]  # mypy asks for the hash of its instances
    return found if where is None else _CLAIMS.get(str(getattr(error, where, "")), _BAD_CLAIM)


@lru_cache(maxsize=256)
def _by_kind(kind: type[BaseException]) -> tuple[Cause | None, str | None]:
    """What all of a *kind* say, or where each has the claim's name: found out once, for refusals repeat."""
    for base in kind.__mro__:
        name = f"{base.__module__}.{base.__qualname__}"
        found, where = _CAUSES.get(name), _OF_CLAIMS.get(name)
        if found is not None or where is not None:
            return found, where
    return None, None
