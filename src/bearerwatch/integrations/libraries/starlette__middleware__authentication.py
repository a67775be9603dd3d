"""Starlette's AuthenticationMiddleware: who was authenticated, by which scopes, and which ``requires`` asks for.

Its backend refuses by an exception that goes to ``on_error`` and no further: that callback is wrapped, once the
middleware is made. ``requires`` raises without a word, but has the scopes at hand.
https://www.starlette.io/authentication/
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from starlette import authentication
from starlette.authentication import AuthCredentials, SimpleUser
from starlette.exceptions import HTTPException
from starlette.middleware.authentication import AuthenticationMiddleware

from bearerwatch import _guard
from bearerwatch.context import current, note
from bearerwatch.event import Outcome
from bearerwatch.integrations._causes import note_cause
from bearerwatch.integrations._checked import checked, note_refused, raised_in

__all__ = ["DISTRIBUTION", "PATCHES", "TESTED", "asgi_answered", "asgi_raised", "install"]

DISTRIBUTION, TESTED = "starlette", ("0.40", "1.10")
PATCHES = ("starlette.middleware.authentication.AuthenticationMiddleware.__init__",)

_ASKED = "scopes_list"
"""What ``requires`` calls the scopes it asks for."""


def install() -> None:
    """Wrap ``AuthenticationMiddleware.__init__``, for the callback that it keeps."""
    make = AuthenticationMiddleware.__init__

    @wraps(make)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        theirs = self.on_error

        @wraps(theirs)
        def on_error(conn: Any, exc: Exception) -> Any:
            _refused(conn.scope, exc)
            return theirs(conn, exc)

        self.on_error = on_error

    AuthenticationMiddleware.__init__ = init  # type: ignore[method-assign]


def _refused(scope: Any, error: Exception) -> None:
    """What the backend's exception says, and otherwise what was presented."""
    try:
        if "bearerwatch" in scope and not note_cause(error) and not _known_bad():
            note_refused(scope)
    except Exception as ours:  # noqa: BLE001 - host boundary: no request fails because of us
        _guard.swallowed("hearing on_error", ours)


def asgi_raised(scope: Any, error: Exception) -> None:
    """Whether it was ``requires`` that refused, and whom."""
    if not isinstance(error, HTTPException):
        return
    module, names = raised_in(error)
    if module != authentication.__name__ or _ASKED not in names:
        return
    credentials = scope.get("auth")
    if _is_authenticated(scope):
        vouched = _vouched(scope)
        had = _had(credentials) if vouched else None
        note(Outcome.INSUFFICIENT_SCOPE, verified=vouched, scopes=had, required_scopes=names[_ASKED])
        return
    note(required_scopes=names[_ASKED])
    context = current.get()
    if context is None or note_cause(error) or _known_bad():
        return
    if context.token_id is not None and not any(name == b"authorization" for name, _ in scope["headers"]):
        note(Outcome.MISSING, reason="wrong_scheme")  # it came by a way that the backend does not read
    else:
        note_refused(scope)


def asgi_answered(scope: Any) -> None:
    """Whom the backend has authenticated, and what the endpoint asked for."""
    credentials = scope.get("auth")
    if not isinstance(credentials, AuthCredentials) or not _is_authenticated(scope):
        return
    required = _asked(scope.get("endpoint"))
    if not _vouched(scope):
        note(required_scopes=required)
        return
    note(verified=True, subject=_identity(scope["user"]) or None, scopes=_had(credentials), required_scopes=required)


def _identity(user: Any) -> Any:
    if type(user) is SimpleUser:  # whose identity is its name; before 1.0 it had none
        return user.username
    try:
        return user.identity
    except NotImplementedError:  # users need not have one
        return None


def _vouched(scope: Any) -> bool:
    """Whether it is by the token that the user was authenticated: it was checked, or there is no session besides."""
    found = checked()
    if found is not None and found.outcome is Outcome.SUCCESS:
        return True
    if found is not None and found.outcome is not Outcome.MALFORMED:
        return False
    for name, _ in scope["headers"]:  # noqa: SIM110 - at every answer: a generator takes twice as long
        if name == b"cookie":
            return False
    return True


def _known_bad() -> bool:
    """Whether a library has checked the token and found what is wrong: the event tells it."""
    found = checked()
    return found is not None and found.outcome not in (Outcome.SUCCESS, Outcome.MALFORMED)


def _is_authenticated(scope: Any) -> bool:
    try:
        return bool(scope["user"].is_authenticated)
    except (AttributeError, KeyError, NotImplementedError):
        return False


def _had(credentials: Any) -> list[str]:
    had: list[str] = credentials.scopes
    return [name for name in had if name != "authenticated"] if "authenticated" in had else had  # it says no more


def _asked(endpoint: Any) -> Any:
    """The scopes of the ``requires`` that *endpoint* is wrapped in, if it is."""
    code = getattr(endpoint, "__code__", None)
    if code is None or code.co_filename != authentication.__file__ or _ASKED not in code.co_freevars:
        return None
    return endpoint.__closure__[code.co_freevars.index(_ASKED)].cell_contents
