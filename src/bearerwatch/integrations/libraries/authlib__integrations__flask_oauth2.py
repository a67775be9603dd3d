"""Authlib's resource protector for Flask: which token it let in, and what it held against the one it refused.

For a token let in there is a signal. A refusal is an ``HTTPException`` raised while the ``OAuth2Error`` is handled,
which says ``invalid_token`` of expired, revoked and unknown ones alike; but the token object that it is about stands in
the frame of ``ResourceProtector.validate_request``, which the error's traceback holds, with the scopes asked for. Of
that object only ``is_expired()`` is asked once more, as its validator has just done.
https://docs.authlib.org/en/stable/oauth2/resource-server/flask.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authlib.integrations.flask_oauth2 import token_authenticated
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749.errors import MissingAuthorizationError, UnsupportedTokenTypeError
from authlib.oauth2.rfc6750 import InsufficientScopeError, InvalidTokenError
from flask import request

from bearerwatch import _guard
from bearerwatch.context import current, note
from bearerwatch.event import Outcome
from bearerwatch.integrations._causes import causes, note_cause
from bearerwatch.integrations.libraries._authlib import Refusal, note_invalid

__all__ = ["DISTRIBUTION", "TESTED", "flask_raised", "install"]

DISTRIBUTION, TESTED = "Authlib", ("1.4", "1.9")


def install() -> None:
    """Listen for tokens that are let in."""
    token_authenticated.connect(_let_in)


def _let_in(_protector: Any, token: Any = None, **_more: Any) -> None:
    try:
        _holder(token)
    except Exception as error:  # noqa: BLE001 - host boundary: no request fails because of us
        _guard.swallowed("reading an Authlib token", error)


def flask_raised(error: Exception) -> None:
    """What a protector has refused, and what its validator knew."""
    refused = next((one for one in causes(error) if isinstance(one, OAuth2Error)), None)
    if refused is None:
        return
    refusal = Refusal.of(refused)
    if not refusal.within:
        return
    if isinstance(refused, MissingAuthorizationError | UnsupportedTokenTypeError):
        if _elsewhere():
            note(Outcome.MISSING, reason="wrong_scheme")
    elif isinstance(refused, InsufficientScopeError):
        if refusal.found:
            _holder(refusal.token)
        note(Outcome.INSUFFICIENT_SCOPE, required_scopes=refusal.only)
    elif isinstance(refused, InvalidTokenError) and refusal.found and not note_cause(refused):
        _invalid(refusal)


def _elsewhere() -> bool:
    """Whether a token came by a way that is not looked at: as it should, but for its scheme, or not in a header."""
    context = current.get()
    if context is None or context.token_id is None:
        return False
    return context.credential is not None or "Authorization" not in request.headers


def _invalid(refusal: Refusal) -> None:
    """Why the object is no good, or that there is none."""
    if not refusal.token:
        context = current.get()
        credential = None if context is None else context.credential
        if credential is not None and credential.count(".") < 2:  # of a JWT there may be more to say
            note(Outcome.INVALID, reason="unknown_token")
    else:
        note_invalid(refusal, _holder)


def _holder(token: Any) -> None:
    """Whose *token* is: claims, what introspection answers, or an object with the columns that Authlib documents.

    Of a row of SQLAlchemy's what was loaded with it, for nothing is to be asked of the database.
    """
    fields = token if isinstance(token, Mapping) else getattr(token, "__dict__", {})
    if fields is token:
        subject, client, scopes = fields.get("sub"), fields.get("client_id"), fields.get("scope")
    elif "_sa_instance_state" in fields:
        subject, client, scopes = fields.get("user_id"), fields.get("client_id"), fields.get("scope")
    else:
        subject, client = getattr(token, "user_id", None), getattr(token, "client_id", None)
        scopes = token.get_scope() if hasattr(token, "get_scope") else None
    note(verified=True, subject=subject, client_id=client, scopes=scopes)
