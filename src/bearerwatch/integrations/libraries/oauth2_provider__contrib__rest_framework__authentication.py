"""django-oauth-toolkit with Django REST framework: what was wrong with a token, or which scope it lacks.

``OAuth2Authentication`` refuses nothing itself: it leaves ``request.oauth2_error`` behind, which says what was wrong,
and the permissions refuse. Those raise the ``PermissionDenied`` of all others: which of them it was, and what it asks
for, is told by where it was raised.
https://django-oauth-toolkit.readthedocs.io/en/latest/rest-framework/permissions.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oauth2_provider.contrib.rest_framework.permissions import (
    IsAuthenticatedOrTokenHasScope,
    TokenHasScope,
    TokenMatchesOASRequirements,
)
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.permissions import AND, OR

from bearerwatch.context import note
from bearerwatch.event import Outcome
from bearerwatch.integrations.libraries.oauth2_provider__oauth2_backends import note_error, note_token

__all__ = ["DISTRIBUTION", "TESTED", "django_answered", "rest_framework_refused"]

DISTRIBUTION, TESTED = "django-oauth-toolkit", ("3.0", "3.4")


def rest_framework_refused(request: Any, error: Exception) -> None:
    """What was left on the request where the token was refused, and the scopes where a permission did."""
    if isinstance(error, NotAuthenticated):
        said = getattr(request, "oauth2_error", None)
        if said is not None:
            note_error(said, request.META.get("HTTP_AUTHORIZATION", ""))
    elif isinstance(error, PermissionDenied):
        token: Any = getattr(request, "__dict__", {}).get("_auth")  # the property would authenticate, by a query
        if hasattr(token, "allow_scopes"):
            permission, view = _refusing(error)
            wanted = _wanted(permission, request, view)
            if wanted and not any(map(token.allow_scopes, wanted)):
                only = wanted[0] if len(wanted) == 1 else None  # of several, each would have been enough
                note(Outcome.INSUFFICIENT_SCOPE, verified=True, required_scopes=only)


def django_answered(request: Any, _response: Any) -> None:
    """Whose the token is that was let in."""
    note_token(request.__dict__.get("auth"))


def _refusing(error: BaseException) -> tuple[Any, Any]:
    """The permission that has refused, and the view that asked it."""
    trace = error.__traceback__  # by name: rest_framework.views loads what settings name, this library among it
    while trace is not None:
        if trace.tb_frame.f_code.co_qualname == "APIView.check_permissions":
            names = trace.tb_frame.f_locals
            return names.get("permission"), names.get("self")
        trace = trace.tb_next
    return None, None


def _wanted(permission: Any, request: Any, view: Any) -> Sequence[Sequence[str]]:
    """The scopes that *permission* asks for, in as many ways as it can be given them."""
    if isinstance(permission, AND | OR):
        return _wanted(permission.op1, request, view) or _wanted(permission.op2, request, view)
    if isinstance(permission, TokenHasScope):
        return [permission.get_scopes(request, view)]
    if isinstance(permission, IsAuthenticatedOrTokenHasScope):
        return [TokenHasScope().get_scopes(request, view)]
    if isinstance(permission, TokenMatchesOASRequirements):
        ways: Sequence[Sequence[str]] = permission.get_required_alternate_scopes(request, view).get(
            request.method.upper(), ()
        )
        return ways
    return ()
