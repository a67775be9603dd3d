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
from traceback import walk_tb
from typing import Any, NamedTuple

from authlib.integrations.django_oauth2 import ResourceProtector, token_authenticated
from authlib.oauth2 import OAuth2Error
from authlib.oauth2 import ResourceProtector as AnyResourceProtector
from authlib.oauth2.rfc6749.errors import MissingAuthorizationError, UnsupportedTokenTypeError
from authlib.oauth2.rfc6750 import InsufficientScopeError, InvalidTokenError

from bearerwatch import _guard
from bearerwatch.context import current, note
from bearerwatch.event import Outcome
from bearerwatch.integrations._causes import note_cause

__all__ = ["DISTRIBUTION", "PATCHES", "TESTED", "install"]

DISTRIBUTION, TESTED = "Authlib", ("1.9", "1.9")
PATCHES = ("authlib.integrations.django_oauth2.ResourceProtector.acquire_token",)

_PROTECTOR = AnyResourceProtector.validate_request.__code__
_BEARER = "authlib.oauth2.rfc6750.validator.BearerTokenValidator.validate_token"
_JWT = "authlib.oauth2.rfc9068.token_validator.JWTBearerTokenValidator.validate_token"
_INTROSPECTED = "authlib.oauth2.rfc7662.token_validator.IntrospectTokenValidator.validate_token"


class _Refusal(NamedTuple):
    """What the frames of a refusal tell."""

    token: Any
    """As the validator made it; an empty one is none."""
    found: bool
    """Whether it came to that."""
    scopes: list[str] | None
    """Those asked for: the words of one item are all needed, and one item is enough."""
    by: str
    """The full name of what raised."""


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
        refusal = _refusal(error)
        _note_holder(refusal.token)
        only = refusal.scopes[0] if refusal.scopes is not None and len(refusal.scopes) == 1 else None
        note(Outcome.INSUFFICIENT_SCOPE, verified=refusal.found, required_scopes=only)
    elif isinstance(error, InvalidTokenError) and not note_cause(error):
        refusal = _refusal(error)
        if refusal.found:
            _invalid(refusal.token, refusal.by)


def _elsewhere(request: Any) -> bool:
    """Whether a token came by a way that is not looked at: as it should, but for its scheme, or not in a header."""
    context = current.get()
    if context is None or context.token_id is None:
        return False
    return context.credential is not None or "HTTP_AUTHORIZATION" not in request.META


def _invalid(token: Any, by: str) -> None:
    """Why *token* is no good, or that there is none."""
    if not token:
        context = current.get()
        credential = None if context is None else context.credential
        if credential is None or credential.count(".") < 2:  # of a JWT there may be more to say
            note(Outcome.INVALID, reason="unknown_token")
    elif by == _INTROSPECTED:
        note(Outcome.INVALID, reason="inactive")
    elif by == _JWT:  # which is good, and lacks a group, role or entitlement
        _note_holder(token)
        note(Outcome.FORBIDDEN, reason="function_forbidden")
    elif hasattr(token, "is_expired") and token.is_expired():
        _note_holder(token)
        note(Outcome.EXPIRED, reason="past_exp")
    elif by == _BEARER:  # else it is revoked: nothing more is looked at there
        _note_holder(token)
        note(Outcome.REVOKED, reason="blacklisted")


def _refusal(error: BaseException) -> _Refusal:
    names: Mapping[str, Any] = {}
    by = ""
    for frame, _ in walk_tb(error.__traceback__):
        if frame.f_code is _PROTECTOR:
            names = frame.f_locals
        by = f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"
    return _Refusal(names.get("token"), "token" in names, names.get("scopes"), by)


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
