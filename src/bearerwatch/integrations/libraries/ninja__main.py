"""django-ninja: why an operation was refused, and for whom it was served.

Operations answer their own exceptions, so that Django hears of none: ``NinjaAPI.on_exception``, which all of them
pass, is wrapped. An authenticator may raise, and what it raised from tells; most return ``None`` instead, and then it
tells only what was heard of the check itself. https://django-ninja.dev/guides/authentication/
"""

from __future__ import annotations

import sys
from functools import wraps
from types import FrameType
from typing import Any

from django.utils.functional import LazyObject
from ninja.errors import AuthenticationError
from ninja.main import NinjaAPI
from ninja.security import APIKeyCookie, HttpBasicAuth, HttpBearer

from bearerwatch.context import current, note
from bearerwatch.event import Outcome
from bearerwatch.integrations.libraries import tell
from bearerwatch.integrations.libraries._holder import note_holder

__all__ = ["DISTRIBUTION", "PATCHES", "TESTED", "django_answered", "django_raised", "install"]

DISTRIBUTION, TESTED = "django-ninja", ("1.3", "1.7")
PATCHES = ("ninja.main.NinjaAPI.on_exception",)

_DEEP = 6
"""Frames from here to the operation: ``tell``, ``on_exception``, and that of whoever overrides it."""


def install() -> None:
    """Wrap ``NinjaAPI.on_exception``."""
    theirs = NinjaAPI.on_exception

    @wraps(theirs)
    def on_exception(self: Any, request: Any, exc: Any) -> Any:
        if current.get() is not None:
            tell("django_raised", exc)
        return theirs(self, request, exc)

    NinjaAPI.on_exception = on_exception  # type: ignore[method-assign]


def django_raised(error: BaseException) -> None:
    """Whether an operation's authenticators have looked at the token at all, where none of them took it."""
    context = current.get()
    if context is None or context.token_id is None or type(error) is not AuthenticationError:
        return
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the operation is not handed on, and it was not raised
    for _ in range(_DEEP):
        if frame is None:
            return
        if frame.f_code.co_name == "_run_authentication":
            request, operation = frame.f_locals["request"], frame.f_locals["self"]
            if all(_overlooks(authenticator, request) for authenticator in operation.auth_callbacks):
                note(Outcome.MISSING, reason="wrong_scheme")
            return
        frame = frame.f_back


def _overlooks(authenticator: Any, request: Any) -> bool:
    """Whether *authenticator* reads a place, or a scheme, that the token did not come by; ``False`` if unknown."""
    if isinstance(authenticator, HttpBasicAuth | APIKeyCookie):
        return True
    if not isinstance(authenticator, HttpBearer) or type(authenticator).__call__ is not HttpBearer.__call__:
        return False
    scheme: str = (request.headers.get(authenticator.header) or "").partition(" ")[0]
    return scheme.lower() != authenticator.openapi_scheme


def django_answered(request: Any, response: Any) -> None:
    """Whose the token is that was let in, and that a refusal after that is no fault of the token."""
    context = current.get()
    found = request.__dict__.get("auth")
    if context is None or found is None or isinstance(found, LazyObject):  # a session's user has shown no token
        return
    note_holder(found)
    if response.status_code == 403 and (context.noted is None or context.noted.outcome is None):
        note(Outcome.FORBIDDEN, verified=True)
