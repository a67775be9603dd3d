"""fastapi-users: whose a token is, and why nobody's.

``Strategy.read_token`` returns the user, or ``None`` whatever was wrong; that of the strategies it brings is wrapped.
What was wrong with a JWT is heard from PyJWT, which checks it.
https://fastapi-users.github.io/fastapi-users/latest/configuration/authentication/
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from fastapi_users.authentication import strategy
from starlette.exceptions import HTTPException

from bearerwatch import _guard
from bearerwatch.context import Checked, current, note
from bearerwatch.event import Outcome
from bearerwatch.integrations._checked import checked, keep, of_request, raised_in

__all__ = ["DISTRIBUTION", "PATCHES", "TESTED", "asgi_raised", "install"]

DISTRIBUTION, TESTED = "fastapi-users", ("13.0", "15.0")
PATCHES = (
    "fastapi_users.authentication.strategy.DatabaseStrategy.read_token",
    "fastapi_users.authentication.strategy.JWTStrategy.read_token",
    "fastapi_users.authentication.strategy.RedisStrategy.read_token",
)


def install() -> None:
    """Wrap ``read_token`` of the strategies that are there: Redis' needs its client."""
    for path in PATCHES:
        kind = getattr(strategy, path.split(".")[-2], None)
        if kind is not None:
            kind.read_token = _hearing(kind.read_token)


def _hearing(theirs: Any) -> Any:
    @wraps(theirs)
    async def read_token(self: Any, token: Any, user_manager: Any) -> Any:
        user = await theirs(self, token, user_manager)
        try:
            _hear(token, user)
        except Exception as ours:  # noqa: BLE001 - host boundary: nobody is refused because of us
            _guard.swallowed("hearing fastapi-users", ours)
        return user

    return read_token


def _hear(token: Any, user: Any) -> None:
    context = of_request(token)
    if context is None:
        return
    before = context.checked
    if user is not None:
        if before is None or before.outcome is not Outcome.SUCCESS:  # else PyJWT was heard to say so
            keep(context, Checked(Outcome.SUCCESS, None, True))
        note(verified=True, subject=user.id)
    elif before is None:
        keep(context, Checked(Outcome.INVALID, "unknown_token"))
    elif before.outcome is Outcome.SUCCESS:  # a good JWT, of nobody
        keep(context, Checked(Outcome.INVALID, "unknown_subject", True))


def asgi_raised(_scope: Any, error: Exception) -> None:
    """Whether a user was refused, or no token was found."""
    module, names = raised_in(error)
    if module != "fastapi_users.authentication.authenticator" or not isinstance(error, HTTPException):
        return
    found, context = checked(), current.get()
    if found is None:
        read = any(isinstance(value, str) for value in names.get("kwargs", {}).values())  # by a strategy of their own
        if not read and context is not None and context.token_id is not None:  # it came by a way no transport reads
            note(Outcome.MISSING, reason="wrong_scheme")
    elif found.outcome is not Outcome.SUCCESS:
        return  # which the event tells
    elif error.status_code == 403:
        note(Outcome.FORBIDDEN, reason="function_forbidden", verified=True)
    else:
        note(Outcome.INVALID, reason="inactive_subject", verified=True)
