"""Flask-HTTPAuth: whose a token is, and which of its two refusals it was.

``HTTPTokenAuth`` leaves the check to the application's ``verify_token``, whose ``None`` says not why. It calls an
application's error handler, and there is no other hook; handlers are registered before anybody listens. So what it asks
at every request is wrapped: ``authenticate`` for whether there was a token where it looks and whether it would do,
``authorize`` for who it is and whether the role will do. https://flask-httpauth.readthedocs.io/
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from flask import g, has_app_context
from flask_httpauth import HTTPTokenAuth  # type: ignore[import-untyped]

from bearerwatch import _guard
from bearerwatch.context import current, note
from bearerwatch.event import Outcome
from bearerwatch.integrations.libraries._holder import note_holder

__all__ = ["DISTRIBUTION", "PATCHES", "TESTED", "flask_answered", "install"]

DISTRIBUTION, TESTED = "Flask-HTTPAuth", ("4.8", "4.8")
PATCHES = ("flask_httpauth.HTTPTokenAuth.authenticate", "flask_httpauth.HTTPTokenAuth.authorize")


def install() -> None:
    """Wrap ``HTTPTokenAuth.authenticate`` and ``HTTPTokenAuth.authorize``."""
    authenticate_, authorize_ = HTTPTokenAuth.authenticate, HTTPTokenAuth.authorize

    @wraps(authenticate_)
    def authenticate(self: Any, auth: Any, stored_password: Any) -> Any:
        user = authenticate_(self, auth, stored_password)
        if auth is None:
            _keep(Outcome.MISSING, "wrong_scheme")
        elif user is None or user is False:
            _keep(Outcome.INVALID)
        return user

    @wraps(authorize_)
    def authorize(self: Any, role: Any, user: Any, auth: Any) -> Any:
        presented = self.header is None or self.header == "Authorization"
        if presented:
            _verified(user, auth)
        allowed = authorize_(self, role, user, auth)
        if presented and not allowed:
            _keep(Outcome.FORBIDDEN, "function_forbidden")
        return allowed

    HTTPTokenAuth.authenticate = authenticate
    HTTPTokenAuth.authorize = authorize


def _keep(outcome: Outcome, reason: str | None = None) -> None:
    context = current.get()
    if context is not None and context.token_id is not None:
        context.aside = (outcome, reason)  # for with ``optional=True`` it is none


def _verified(user: Any, auth: Any) -> None:
    try:
        context = current.get()
        if context is not None and context.token_id is not None:
            note_holder(user, user if isinstance(user, str) and user != auth.token else None)
    except Exception as error:  # noqa: BLE001 - host boundary: no request fails because of us
        _guard.swallowed("asking whose a token is", error)


def flask_answered() -> None:
    """Why the view was not called, if it was not."""
    context = current.get()
    if context is None or context.aside is None or not has_app_context() or "flask_httpauth_user" in g:
        return
    outcome, reason = context.aside
    if outcome is not Outcome.INVALID:  # else what was heard of the check that verify_token made says more
        note(outcome, reason=reason, verified=outcome is Outcome.FORBIDDEN)
