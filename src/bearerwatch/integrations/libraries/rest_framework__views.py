"""Django REST framework: why an authenticator or a permission has refused.

Its exceptions tell, what they were raised from, and where. There is no signal for them, and a project's own
``EXCEPTION_HANDLER`` need not be called by every view: so ``APIView.handle_exception``, which views may override but
which every refusal passes, is wrapped. Whom a token belongs to that was let in, ``request.auth`` and ``request.user``
say, which the middleware reads.
https://www.django-rest-framework.org/api-guide/exceptions/
https://www.django-rest-framework.org/api-guide/authentication/
"""

from __future__ import annotations

from functools import wraps
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.utils.translation import gettext
from rest_framework import exceptions
from rest_framework.views import APIView

from bearerwatch.context import current, note
from bearerwatch.event import Outcome
from bearerwatch.integrations._causes import causes, note_cause
from bearerwatch.integrations.libraries import tell

__all__ = ["DISTRIBUTION", "ORDER", "PATCHES", "TESTED", "install", "rest_framework_refused"]

DISTRIBUTION, TESTED = "djangorestframework", ("3.15", "3.18")
PATCHES = ("rest_framework.views.APIView.handle_exception",)
ORDER = 1

_STEPS = {"check_object_permissions": "object_forbidden", "check_permissions": "function_forbidden"}
"""Where a permission is asked, and what it means if that refuses."""
_LOOKUP = "authenticate_credentials"
"""The method that looks a token up: ``TokenAuthentication``'s, and its subclasses' and imitators'."""
_FOUND = ("auth_token", "token")
"""What it calls the row that it found."""


def install() -> None:
    """Wrap ``APIView.handle_exception``."""
    theirs = APIView.handle_exception

    @wraps(theirs)
    def handle_exception(self: Any, exc: Exception) -> Any:
        if current.get() is not None:
            tell("rest_framework_refused", getattr(self, "request", None), exc)
        return theirs(self, exc)

    APIView.handle_exception = handle_exception


def rest_framework_refused(request: Any, error: Exception) -> None:
    """What REST framework's own exceptions say, and those that they were raised from."""
    let_in = getattr(request, "__dict__", {}).get("_auth") is not None  # the property would authenticate, by a query
    if isinstance(error, exceptions.PermissionDenied | DjangoPermissionDenied):
        if let_in or not note_cause(error):
            note(Outcome.FORBIDDEN, reason=_step(error))
        return
    context = current.get()
    if note_cause(error) or context is None or context.token_id is None:
        return
    if isinstance(error, exceptions.NotAuthenticated):
        if not let_in:  # it came by a way that no authenticator reads
            note(Outcome.MISSING, reason="wrong_scheme")
    elif isinstance(error, exceptions.AuthenticationFailed):
        _failed(error)


def _failed(error: exceptions.AuthenticationFailed) -> None:
    frame = _innermost(error, _LOOKUP)
    missing = next((cause for cause in causes(error) if isinstance(cause, ObjectDoesNotExist)), None)
    said = str(error.detail)
    if missing is not None:
        user = settings.AUTH_USER_MODEL.rpartition(".")[2]
        if type(missing).__qualname__.lower() == f"{user}.DoesNotExist".lower():
            note(Outcome.INVALID, reason="unknown_subject")
        elif frame is not None:
            note(Outcome.INVALID, reason="unknown_token")
    elif said == gettext("User inactive or deleted."):
        holder = None if frame is None else _holder(frame)
        note(Outcome.INVALID, reason="inactive_subject", verified=holder is not None, subject=holder)
    elif "invalid" in said.lower():  # "invalid or expired" says neither
        return
    elif "expired" in said.lower():  # a project's own: neither this nor the next is REST framework's
        note(Outcome.EXPIRED, reason="past_exp")
    elif "revoked" in said.lower():
        note(Outcome.REVOKED)


def _holder(frame: FrameType) -> object:
    """Whose token it is that was found there, and refused all the same; from what was loaded of it, without a query."""
    rows = (getattr(frame.f_locals.get(name), "__dict__", {}) for name in _FOUND)
    return next((row["user_id"] for row in rows if "user_id" in row), None)


def _innermost(error: BaseException, *names: str) -> FrameType | None:
    """The last of the calls to functions so named that *error* came by."""
    found, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name in names:
            found = trace.tb_frame
        trace = trace.tb_next
    return found


def _step(error: BaseException) -> str | None:
    frame = _innermost(error, *_STEPS)
    return None if frame is None else _STEPS[frame.f_code.co_name]
