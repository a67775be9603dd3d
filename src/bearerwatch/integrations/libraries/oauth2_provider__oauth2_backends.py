"""django-oauth-toolkit: what it says of a token, however a view is protected.

Its decorators, its view mixins and its middleware all ask ``OAuthLibCore.verify_request`` and answer a bare 403, or go
on without a user; there is no signal. So that is wrapped, for requests of Django alone: Django REST framework's keep
what was said.
https://django-oauth-toolkit.readthedocs.io/en/latest/views/function_based.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import wraps
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext
from oauth2_provider.oauth2_backends import OAuthLibCore
from oauth2_provider.settings import oauth2_settings

from bearerwatch import _guard
from bearerwatch.classify import State, present
from bearerwatch.context import current, note
from bearerwatch.event import Outcome

__all__ = ["DISTRIBUTION", "PATCHES", "TESTED", "install", "note_error", "note_token"]

DISTRIBUTION, TESTED = "django-oauth-toolkit", ("3.0", "3.4")
PATCHES = ("oauth2_provider.oauth2_backends.OAuthLibCore.verify_request",)

_EXPIRED = "The access token has expired."
_UNKNOWN = "The access token is invalid."
_ELSEWHERE = "The access token is not valid for this resource."


def install() -> None:
    """Wrap ``OAuthLibCore.verify_request``."""
    theirs = OAuthLibCore.verify_request

    @wraps(theirs)
    def verify_request(self: Any, request: Any, scopes: Any) -> Any:
        answer = theirs(self, request, scopes)
        if isinstance(request, HttpRequest) and current.get() is not None:
            try:
                _answered(request, scopes, *answer)
            except Exception as error:  # noqa: BLE001 - host boundary: no request fails because of us
                _guard.swallowed("hearing django-oauth-toolkit", error)
        return answer

    OAuthLibCore.verify_request = verify_request


def _answered(request: HttpRequest, scopes: Any, valid: bool, verified: Any) -> None:
    if valid:
        context = current.get()
        if context is not None and context.noted is not None:
            context.noted.outcome = None  # it was asked for other scopes before
        note_token(getattr(verified, "access_token", None))
    else:
        note_error(getattr(verified, "oauth2_error", None) or {}, request.META.get("HTTP_AUTHORIZATION", ""), scopes)


def note_error(error: Mapping[str, Any], authorization: str, scopes: Iterable[str] | None = None) -> None:
    """Note what *error* says of the token in the header *authorization*, where *scopes* were asked for.

    It is empty where none was found to look at. Its descriptions are in the language of the request, and there is
    nothing else in it to tell one from the other.
    """
    if not error:
        context = current.get()
        if context is not None and context.token_id is not None:
            if authorization[:7].lower() == "bearer ":  # more than one word, or another token in the query string
                note(Outcome.MALFORMED)
            else:  # it came by a way that is not read
                note(Outcome.MISSING, reason="wrong_scheme")
        return
    if error.get("error") == "insufficient_scope":
        note(Outcome.INSUFFICIENT_SCOPE, verified=True, required_scopes=scopes)
        return
    said = str(error.get("error_description", ""))
    if said == gettext(_EXPIRED):
        note(Outcome.EXPIRED, reason="past_exp", verified=True)
    elif said == gettext(_ELSEWHERE):
        note(Outcome.INVALID, reason="wrong_audience", verified=True)
    elif said == gettext(_UNKNOWN):
        if _cannot_be_one(authorization):
            note(Outcome.MALFORMED)
        else:
            note(Outcome.INVALID, reason="unknown_token" if _only_unknown() else None)
    else:  # the application's own ``is_valid`` will not have it
        note(Outcome.INVALID, verified=not said)


def _cannot_be_one(authorization: str) -> bool:
    scheme, _, credential = authorization.partition(" ")
    return bool(scheme) and present("bearer", credential.strip(), carries_token=True).state == State.BROKEN


def _only_unknown() -> bool:
    """Whether a token is called invalid for one reason alone: that there is none such.

    Where another server is asked, it may be inactive there, or that one may not have answered; and models of the
    application's own can have clients that may not be used any more.
    """
    from oauth2_provider.models import AbstractApplication, get_application_model  # noqa: PLC0415 - needs the apps

    if oauth2_settings.RESOURCE_SERVER_INTROSPECTION_URL:
        return False
    usable: bool = get_application_model().is_usable is AbstractApplication.is_usable
    return usable


def note_token(token: Any) -> None:
    """Note whose *token* is, if it is one: what was loaded with it, for nothing is to be asked of the database."""
    if not hasattr(token, "allow_scopes"):
        return
    held = token.__dict__
    application = getattr(held.get("_state"), "fields_cache", {}).get("application")
    note(
        verified=True,
        subject=held.get("user_id"),
        client_id=getattr(application, "client_id", None),
        scopes=held.get("scope"),
    )
