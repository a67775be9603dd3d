"""Authlib's resource protector for Django: which token it let in, and what it held against the one it refused.

For a token let in there is a signal, and for a refusal there is none: the decorator answers it by itself. So
``ResourceProtector.acquire_token``, which everything passes, is wrapped. Expired, revoked and unknown tokens raise the
same ``InvalidTokenError``; but the frame of ``ResourceProtector.validate_request``, which its traceback holds, has the
token that it is about and the scopes asked for. Of that token only ``is_expired()`` is asked once more, as the
validator has just done.
https://docs.authlib.org/en/stable/django/2/resource-server.html
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import wraps
from typing import Any

from authlib.integrations.django_oauth2 import ResourceProtector, token_authenticated
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749.errors import MissingAuthorizationError, UnsupportedTokenTypeError
from authlib.oauth2.rfc6750 import InsufficientScopeError, InvalidTokenError

from bearerwatch import _guard
from bearerwatch.context import current, note
from bearerwatch.event import Outcome
from bearerwatch.integrations._causes import note_cause
from bearerwatch.integrations.libraries._authlib import Refusal, note_invalid

__all__ = ["DISTRIBUTION", "PATCHES", "TESTED", "install"]

DISTRIBUTION, TESTED = "Authlib", ("1.4", "1.9")
PATCHES = ("authlib.integrations.django_oauth2.ResourceProtector.acquire_token",)


def install() -> None:
    """Listen for tokens that are let in, and wrap ``ResourceProtector.acquire_token`` for the others."""
    token_authenticated.connect(_let_in, dispatch_uid=__name__)
    theirs = ResourceProtector.acquire_token

    @wraps(theirs)
    def acquire_token(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return theirs(self, request, *args, **kwargs)
        except OAuth2Error as error:
            if current.get() is not None:
                try:
                    _refused(request, error)
                except Exception as ours:  # noqa: BLE001 - host boundary: no request fails because of us
                    _guard.swallowed("hearing what Authlib refuses", ours)
            raise

    ResourceProtector.acquire_token = acquire_token


def _let_in(token: Any = None, **_more: Any) -> None:
    context = current.get()
    if context is None:
        return
    try:
        if context.noted is not None:
            context.noted.outcome = None  # it was asked for other scopes before
        _note_holder(token)
    except Exception as error:  # noqa: BLE001 - host boundary: no request fails because of us
        _guard.swallowed("reading an Authlib token", error)


def _refused(request: Any, error: OAuth2Error) -> None:
    if isinstance(error, MissingAuthorizationError | UnsupportedTokenTypeError):
        if _elsewhere(request):
            note(Outcome.MISSING, reason="wrong_scheme")
    elif isinstance(error, InsufficientScopeError):
        refusal = Refusal.of(error)
        _note_holder(refusal.token)
        note(Outcome.INSUFFICIENT_SCOPE, verified=refusal.found, required_scopes=refusal.only)
    elif isinstance(error, InvalidTokenError) and not note_cause(error):
        refusal = Refusal.of(error)
        if refusal.found:
            _invalid(refusal)


def _elsewhere(request: Any) -> bool:
    """Whether a token came by a way that is not looked at: as it should, but for its scheme, or not in a header."""
    context = current.get()
    if context is None or context.token_id is None:
        return False
    return context.credential is not None or "HTTP_AUTHORIZATION" not in request.META


def _invalid(refusal: Refusal) -> None:
    """Why the token is no good, or that there is none."""
    if not refusal.token:
        context = current.get()
        credential = None if context is None else context.credential
        if credential is None or credential.count(".") < 2:  # of a JWT there may be more to say
            note(Outcome.INVALID, reason="unknown_token")
    else:
        note_invalid(refusal, _note_holder)


def _note_holder(token: Any) -> None:
    """Whose *token* is: claims, an answer of introspection, or a row with the columns that Authlib's mixin names.

    Of a row what was loaded with it, for nothing is to be asked of the database.
    """
    if isinstance(token, Mapping):
        subject, fields = token.get("sub"), token
    else:
        fields = getattr(token, "__dict__", {})
        subject = fields.get("user_id")
    note(verified=token is not None, subject=subject, client_id=fields.get("client_id"), scopes=fields.get("scope"))
