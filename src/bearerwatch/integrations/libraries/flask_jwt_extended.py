"""Flask-JWT-Extended: which of its refusals it was, and whose the JWT is that was let in.

It raises an exception of its own for each check, and PyJWT's for the rest, which are known already. Its handlers, and
those that applications put in their place, answer them with statuses that tell little: 422 for most.
https://flask-jwt-extended.readthedocs.io/en/stable/changing_default_behavior/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import current_app, request
from flask_jwt_extended import exceptions, get_jwt
from jwt.exceptions import InvalidTokenError

from bearerwatch.context import current, note
from bearerwatch.event import Outcome
from bearerwatch.integrations._causes import note_cause
from bearerwatch.integrations._checked import checked
from bearerwatch.integrations.libraries._holder import note_claims

__all__ = ["DISTRIBUTION", "TESTED", "flask_answered", "flask_raised"]

DISTRIBUTION, TESTED = "Flask-JWT-Extended", ("4.6", "4.7")

_SAID: dict[type[exceptions.JWTExtendedException], tuple[Outcome, str | None, bool]] = {
    exceptions.InvalidHeaderError: (Outcome.MALFORMED, None, False),
    exceptions.InvalidQueryParamError: (Outcome.MALFORMED, None, False),
    exceptions.JWTDecodeError: (Outcome.INVALID, "missing_claim", True),
    exceptions.WrongTokenError: (Outcome.INVALID, "wrong_type", True),
    exceptions.UserClaimsVerificationError: (Outcome.INVALID, "bad_claim", True),
    exceptions.UserLookupError: (Outcome.INVALID, "unknown_subject", True),
    exceptions.RevokedTokenError: (Outcome.REVOKED, "blacklisted", True),
    exceptions.FreshTokenRequired: (Outcome.FORBIDDEN, "not_fresh", True),
}
_UNREAD = "Missing CSRF token"
"""What a ``CSRFError`` says before the JWT is looked at. The other one is of a JWT that is good."""


def flask_raised(error: Exception) -> None:
    """What its exceptions say, and of what JWT."""
    claims = getattr(error, "jwt_data", None)  # PyJWT's of an expired one has it as well
    if isinstance(claims, Mapping):
        _holder(claims)
    if isinstance(error, exceptions.CSRFError):
        note(Outcome.FORBIDDEN, reason="csrf_failed", verified=str(error) != _UNREAD)
    elif isinstance(error, exceptions.NoAuthorizationError):
        context = current.get()
        if context is not None and context.token_id is not None and _elsewhere(context.credential):
            note(Outcome.MISSING, reason="wrong_scheme")
    elif isinstance(error, exceptions.JWTExtendedException):
        known = _SAID.get(type(error))
        if known is not None:
            outcome, reason, verified = known
            note(outcome, reason=reason, verified=verified)
    elif isinstance(error, InvalidTokenError) and not note_cause(error):
        note(Outcome.INVALID)


def _elsewhere(credential: str | None) -> bool:
    """Whether the token came by a way that is not looked at: as it should, but for its scheme, or not in a header."""
    return credential is not None or "Authorization" not in request.headers


def flask_answered() -> None:
    """Whose the JWT is that was let in."""
    found = checked()
    if (
        found is not None
        and found.outcome is Outcome.SUCCESS
        and current_app.config.get("JWT_IDENTITY_CLAIM", "sub") == "sub"
    ):
        return  # PyJWT was heard to check it, and the rest of what it says has been read
    try:
        claims = get_jwt()
    except RuntimeError:  # nobody has asked for one
        return
    if claims:
        _holder(claims)


def _holder(claims: Mapping[str, Any]) -> None:
    note_claims(claims, claims.get(current_app.config["JWT_IDENTITY_CLAIM"]))
