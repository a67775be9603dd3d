"""Authlib's resource protector for Flask: which token it let in, and what it held against the one it refused.

For a token let in there is a signal. A refusal is an ``HTTPException`` raised while the ``OAuth2Error`` is handled,
which says ``invalid_token`` of expired, revoked and unknown ones alike; but the token object that it is about stands in
the frame of ``ResourceProtector.validate_request``, which the error's traceback holds, with the scopes asked for. Of
that object only ``is_expired()`` is asked once more, as its validator has just done.
https://docs.authlib.org/en/stable/oauth2/resource-server/flask.html
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple

from authlib.integrations.flask_oauth2 import token_authenticated
from authlib.oauth2 import OAuth2Error, ResourceProtector
from authlib.oauth2.rfc6749.errors import MissingAuthorizationError, UnsupportedTokenTypeError
from authlib.oauth2.rfc6750 import InsufficientScopeError, InvalidTokenError
from flask import request

from bearerwatch import _guard
from bearerwatch.context import current, note
from bearerwatch.event import Outcome
from bearerwatch.integrations._causes import causes, note_cause

__all__ = ["DISTRIBUTION", "TESTED", "flask_raised", "install"]

DISTRIBUTION, TESTED = "Authlib", ("1.9", "1.9")

_PROTECTOR = ResourceProtector.validate_request.__code__
_BEARER = "authlib.oauth2.rfc6750.validator.BearerTokenValidator.validate_token"
_JWT = "authlib.oauth2.rfc9068.token_validator.JWTBearerTokenValidator.validate_token"
_INTROSPECTED = "authlib.oauth2.rfc7662.token_validator.IntrospectTokenValidator.validate_token"


class _Refusal(NamedTuple):
    """What the frames of a refusal tell."""

    token: Any
    """As the validator made it; an empty one is none."""
    found: bool
    """Whether it came to that."""
    scopes: Any
    """Those asked for: the words of one item are all needed, and one item is enough."""
    by: str
    """The full name of what raised."""


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
    refusal = None if refused is None else _refusal(refused.__traceback__)
    if refused is None or refusal is None:
        return
    if isinstance(refused, MissingAuthorizationError | UnsupportedTokenTypeError):
        if _elsewhere():
            note(Outcome.MISSING, reason="wrong_scheme")
    elif isinstance(refused, InsufficientScopeError):
        if refusal.found:
            _holder(refusal.token)
        only = refusal.scopes[0] if refusal.scopes and len(refusal.scopes) == 1 else None
        note(Outcome.INSUFFICIENT_SCOPE, required_scopes=only)  # of several any one would do
    elif isinstance(refused, InvalidTokenError) and refusal.found and not note_cause(refused):
        _invalid(refusal)


def _elsewhere() -> bool:
    """Whether a token came by a way that is not looked at: as it should, but for its scheme, or not in a header."""
    context = current.get()
    if context is None or context.token_id is None:
        return False
    return context.credential is not None or "Authorization" not in request.headers


def _invalid(refusal: _Refusal) -> None:
    """Why the object is no good, or that there is none."""
    token, by = refusal.token, refusal.by
    if not token:
        context = current.get()
        credential = None if context is None else context.credential
        if credential is not None and credential.count(".") < 2:  # of a JWT there may be more to say
            note(Outcome.INVALID, reason="unknown_token")
    elif by == _INTROSPECTED:
        note(Outcome.INVALID, reason="inactive")
    elif by == _JWT:  # which is good, and lacks a group, role or entitlement
        _holder(token)
        note(Outcome.FORBIDDEN, reason="function_forbidden")
    elif hasattr(token, "is_expired") and token.is_expired():
        _holder(token)
        note(Outcome.EXPIRED, reason="past_exp")
    elif by == _BEARER:  # else it is revoked: nothing more is looked at there
        _holder(token)
        note(Outcome.REVOKED, reason="blacklisted")


def _refusal(trace: TracebackType | None) -> _Refusal | None:
    there = None
    while trace is not None:
        frame, trace = trace.tb_frame, trace.tb_next
        if frame.f_code is _PROTECTOR:
            there = frame.f_locals
        if trace is None and there is not None:
            by = f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"
            return _Refusal(there.get("token"), "token" in there, there.get("scopes"), by)
    return None


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
