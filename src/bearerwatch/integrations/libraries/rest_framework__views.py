"""Django REST framework: why an authenticator or a permission has refused.

Its exceptions tell, and what they were raised from. There is no signal for them, and a project's own
``EXCEPTION_HANDLER`` need not be called by every view: so ``APIView.handle_exception``, which views may override but
which every refusal passes, is wrapped.
https://www.django-rest-framework.org/api-guide/exceptions/
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.utils.translation import gettext
from rest_framework import exceptions
from rest_framework.views import APIView

from bearerwatch.context import current, note
from bearerwatch.event import Outcome
from bearerwatch.integrations._causes import note_cause
from bearerwatch.integrations.libraries import tell

__all__ = ["DISTRIBUTION", "ORDER", "PATCHES", "TESTED", "install", "rest_framework_refused"]

DISTRIBUTION, TESTED = "djangorestframework", ("3.15", "3.18")
PATCHES = ("rest_framework.views.APIView.handle_exception",)
ORDER = 1

_MALFORMED = (
    "Invalid token header. No credentials provided.",
    "Invalid token header. Token string should not contain spaces.",
    "Invalid token header. Token string should not contain invalid characters.",
)
_STEPS = {"check_object_permissions": "object_forbidden", "check_permissions": "function_forbidden"}
"""Where a permission is asked, and what it means if that refuses."""


def install() -> None:
    """Wrap ``APIView.handle_exception``."""
    theirs = APIView.handle_exception

    @wraps(theirs)
    def handle_exception(self: Any, exc: Exception) -> Any:
        if current.get() is not None:
            tell("rest_framework_refused", self.request, exc)
        return theirs(self, exc)

    APIView.handle_exception = handle_exception


def rest_framework_refused(request: Any, error: Exception) -> None:
    """What REST framework's own exceptions say, and those that they were raised from."""
    if isinstance(error, exceptions.PermissionDenied | DjangoPermissionDenied):
        note(Outcome.FORBIDDEN, reason=_step(error), verified=getattr(request, "auth", None) is not None)
    elif note_cause(error):
        return
    elif isinstance(error, exceptions.NotAuthenticated):
        context = current.get()
        if context is not None and context.token_id is not None:  # it came by a way that no authenticator reads
            note(Outcome.MISSING, reason="wrong_scheme")
    elif isinstance(error, exceptions.AuthenticationFailed):
        said = str(error.detail)
        if said == gettext("Invalid token."):
            note(Outcome.INVALID, reason="unknown_token")
        elif said == gettext("User inactive or deleted."):
            note(Outcome.INVALID, reason="inactive_subject", verified=True)
        elif said in map(gettext, _MALFORMED):
            note(Outcome.MALFORMED)


def _step(error: BaseException) -> str | None:
    trace = error.__traceback__
    while trace is not None:
        reason = _STEPS.get(trace.tb_frame.f_code.co_name)
        if reason is not None:
            return reason
        trace = trace.tb_next
    return None
