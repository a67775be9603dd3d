"""PyJWT: what it found of the token presented, for applications that catch its exceptions and say no more than "no".

It has no hook for that. ``PyJWT.decode_complete``, which ``jwt.decode`` calls, is wrapped.
https://pyjwt.readthedocs.io/en/stable/api.html
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from jwt.api_jwt import PyJWT
from jwt.exceptions import InvalidTokenError, PyJWTError

from bearerwatch import _guard
from bearerwatch.context import Checked, current
from bearerwatch.event import Outcome
from bearerwatch.integrations._causes import cause_of
from bearerwatch.integrations._checked import keep, of_request

__all__ = ["DISTRIBUTION", "PATCHES", "TESTED", "install"]

DISTRIBUTION, TESTED = "PyJWT", ("2.8", "2.15")
PATCHES = ("jwt.api_jwt.PyJWT.decode_complete",)

_OPTIONS = 2
"""The place of ``options`` among the arguments after the token."""
_SUCCESS = Outcome.SUCCESS


def install() -> None:
    """Wrap ``PyJWT.decode_complete``."""
    theirs = PyJWT.decode_complete

    @wraps(theirs)
    def decode_complete(self: Any, jwt: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            found = theirs(self, jwt, *args, **kwargs)
        except PyJWTError as error:
            _hear(jwt, args, kwargs, error=error)
            raise
        context = current.get()
        if context is not None:
            if jwt == context.credential:  # as most are asked: quicker than _hear
                options = kwargs.get("options") if len(args) <= _OPTIONS else args[_OPTIONS]
                if not options or options.get("verify_signature", True):
                    context.checked = Checked(_SUCCESS, None, True, found["payload"])
            else:
                _hear(jwt, args, kwargs, claims=found["payload"])
        return found

    PyJWT.decode_complete = decode_complete  # type: ignore[method-assign]


def _hear(jwt: Any, args: Any, kwargs: Any, *, error: PyJWTError | None = None, claims: Any = None) -> None:
    try:
        context = of_request(jwt)
        if context is None:
            return
        options = args[_OPTIONS] if len(args) > _OPTIONS else kwargs.get("options")
        if options and not options.get("verify_signature", True):
            return  # read, and not checked
        if error is None:
            context.checked = Checked(Outcome.SUCCESS, None, True, claims)
            return
        cause = cause_of(error)
        if cause is not None:
            keep(context, Checked(*cause))
        elif isinstance(error, InvalidTokenError):
            keep(context, Checked(Outcome.INVALID))
    except Exception as ours:  # noqa: BLE001 - host boundary: nobody's check fails because of us
        _guard.swallowed("hearing PyJWT", ours)
