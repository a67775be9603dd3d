"""django-rest-knox: what has expired, apart from what nobody knows.

``TokenAuthentication`` says of both that the token is invalid. Of the first there is a signal, ``token_expired``,
which it sends just before. Then the token was found by the characters that it begins with, and is deleted before the
rest of it is compared: so it is not established that what was presented is that token, nor whose it is.
https://jazzband.github.io/django-rest-knox/
"""

from __future__ import annotations

from typing import Any

from knox.auth import TokenAuthentication  # type: ignore[import-untyped]
from knox.signals import token_expired  # type: ignore[import-untyped]
from rest_framework.exceptions import AuthenticationFailed

from bearerwatch.context import current, note
from bearerwatch.event import Outcome

__all__ = ["DISTRIBUTION", "TESTED", "install", "rest_framework_refused"]

DISTRIBUTION, TESTED = "django-rest-knox", ("5.0", "5.1")

_REASON = "past_exp"
_LOOKUP = TokenAuthentication.authenticate_credentials.__code__


def install() -> None:
    """Listen for the signal."""
    token_expired.connect(_expired, dispatch_uid=__name__)


def _expired(source: str | None = None, **_: Any) -> None:
    if source == "auth_token":  # else it is another token of the same user, which is cleared away on occasion
        note(Outcome.EXPIRED, reason=_REASON)


def rest_framework_refused(_request: Any, error: Exception) -> None:
    """What it means that the token was not found."""
    context = current.get()
    if context is None or not isinstance(error, AuthenticationFailed):
        return
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or trace.tb_frame.f_code is not _LOOKUP:  # raised elsewhere
        return
    if context.noted is not None and context.noted.reason == _REASON:  # the signal's: only its outcome was set aside
        note(Outcome.EXPIRED, reason=_REASON)
    else:
        note(Outcome.INVALID, reason="unknown_token")
