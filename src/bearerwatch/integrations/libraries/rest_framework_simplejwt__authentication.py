"""djangorestframework-simplejwt: which of the reasons it is that all read ``token_not_valid``.

``JWTAuthentication.get_validated_token`` tries one token class after the other and raises anew when none fits, so that
only texts are left of what was wrong. What its own backend says of the token tells: it is asked once more, about
refused tokens alone, and without the database or the network.
https://django-rest-framework-simplejwt.readthedocs.io/
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext
from rest_framework_simplejwt.exceptions import AuthenticationFailed, InvalidToken, TokenBackendError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.state import token_backend
from rest_framework_simplejwt.tokens import Token

from bearerwatch.context import current, note
from bearerwatch.event import Outcome
from bearerwatch.integrations._causes import note_cause
from bearerwatch.integrations.libraries._holder import note_claims

__all__ = ["DISTRIBUTION", "TESTED", "django_answered", "rest_framework_refused"]

DISTRIBUTION, TESTED = "djangorestframework-simplejwt", ("5.4", "5.5")

_CODES: dict[str, tuple[Outcome, str, bool]] = {
    "user_not_found": (Outcome.INVALID, "unknown_subject", True),
    "user_inactive": (Outcome.INVALID, "inactive_subject", True),
    "password_changed": (Outcome.REVOKED, "password_changed", True),
    "bad_authorization_header": (Outcome.MALFORMED, "bad_characters", False),
}
_BLACKLISTED, _WRONG_TYPE = "Token is blacklisted", "Token has wrong type"


def rest_framework_refused(_request: Any, error: Exception) -> None:
    """What its exceptions say, and where they say too little its backend."""
    if not isinstance(error, AuthenticationFailed):
        return
    detail = error.detail
    if isinstance(error, InvalidToken):
        said = {str(message.get("message")) for message in detail.get("messages", ()) if isinstance(message, dict)}
        if gettext(_BLACKLISTED) in said:
            note(Outcome.REVOKED, reason="blacklisted", verified=True)
        elif gettext(_WRONG_TYPE) in said:
            note(Outcome.INVALID, reason="wrong_type", verified=True)
        else:
            _diagnose()
        return
    known = _CODES.get(str(detail.get("code"))) if isinstance(detail, dict) else None
    if known is not None:
        outcome, reason, verified = known
        note(outcome, reason=reason, verified=verified)


def _diagnose() -> None:
    context = current.get()
    if context is None or context.credential is None or token_backend.jwks_client is not None:
        return  # where keys are fetched, asking may cost a request
    try:
        token_backend.decode(context.credential)  # type: ignore[arg-type]
    except TokenBackendError as error:
        note_cause(error)
    else:  # what is missing is a claim that it asks for
        note(Outcome.INVALID, reason="missing_claim", verified=True)


def django_answered(request: Any, _response: Any) -> None:
    """Whose the token is that was let in."""
    token = request.__dict__.get("auth")
    if isinstance(token, Token):
        payload = token.payload
        note_claims(payload, payload.get(api_settings.USER_ID_CLAIM))
