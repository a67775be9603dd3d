"""FastAPI: which scopes a route asks for, and what its security utilities mean by a 401.

``Security(..., scopes=[...])`` stands in the route's dependant. It is the application that compares that with the
token, and it refuses by an ``HTTPException`` like that for a token that is no good at all.
https://fastapi.tiangolo.com/advanced/security/oauth2-scopes/
"""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException

from bearerwatch import _jws
from bearerwatch.context import current, note
from bearerwatch.event import Outcome
from bearerwatch.integrations._causes import note_cause
from bearerwatch.integrations._checked import checked, raised_in

__all__ = ["DISTRIBUTION", "ORDER", "TESTED", "asgi_answered", "asgi_raised"]

DISTRIBUTION, TESTED = "fastapi", ("0.115", "0.165")
ORDER = 1

_DOCUMENTED = "Not enough permissions"
"""What FastAPI's documentation has an application say."""
_KEPT = "_bearerwatch_scopes"


def asgi_raised(scope: Any, error: Exception) -> None:
    """Whether nothing was found where a token belongs, or a good one lacks a scope."""
    if not isinstance(error, HTTPException) or error.status_code not in (401, 403) or note_cause(error):
        return
    context = current.get()
    if context is None or context.token_id is None:
        return
    if raised_in(error)[0].startswith("fastapi.security."):  # it came by a way that none of them reads
        note(Outcome.MISSING, reason="wrong_scheme")
        return
    required = _required(scope)
    if not required:
        return
    found = checked()
    if found is not None:
        authentic, had = found.outcome is Outcome.SUCCESS, found.scopes
        if not authentic:
            return
    else:
        authentic = False
        read = None if context.credential is None else _jws.parse(context.credential)
        had = None if read is None else _jws.scopes_in(read.claims)
    documented = error.detail == _DOCUMENTED
    lacks = had is not None and not set(required.split()).issubset(had)
    if documented or (lacks and (authentic or error.status_code == 403)):
        note(Outcome.INSUFFICIENT_SCOPE, verified=authentic, scopes=had, required_scopes=required)


def asgi_answered(scope: Any) -> None:
    """Which scopes the route asks for."""
    required = _required(scope)
    if required:
        note(required_scopes=required)


def _required(scope: Any) -> str:
    """What the route that was matched asks for, all that it depends on together, separated by spaces."""
    included = scope.get("fastapi")  # a router that is included may bring dependencies of its own
    route = (included.get("effective_route_context") if included else None) or scope.get("route")
    if getattr(route, "dependant", None) is None:
        route = scope.get("route")
        if route is None:
            return ""
    kept: str | None = getattr(route, _KEPT, None)
    if kept is None:
        dependant = getattr(route, "dependant", None)
        if dependant is None:
            return ""
        asked: dict[str, None] = {}
        _collect(dependant, asked)
        kept = " ".join(asked)
        route.__dict__[_KEPT] = kept  # on the route itself, so that it lives no longer
    return kept


def _collect(dependant: Any, into: dict[str, None]) -> None:
    for one in dependant.dependencies:
        scopes = getattr(one, "own_oauth_scopes", None) or getattr(one, "security_scopes", None)  # before 0.123
        into.update(dict.fromkeys(scopes or ()))
        _collect(one, into)
