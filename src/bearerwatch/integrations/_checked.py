"""What became of the credential of a request when it was checked, heard where that is known and told with the answer.

Many applications keep it to themselves: they check a token, swallow the exception, and refuse in words of their own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from bearerwatch.classify import classify
from bearerwatch.context import RequestContext, current, note
from bearerwatch.event import Outcome
from bearerwatch.fingerprint import fingerprint

__all__ = ["Checked", "checked", "keep", "note_answer", "note_refused", "of_request", "raised_in", "scopes_in"]


class Checked(Struct, frozen=True, gc=False):
    """The result of one check."""

    outcome: Outcome
    reason: str | None = None
    verified: bool = False
    claims: Mapping[str, Any] | None = None
    """Those of a JWT that was found good."""

    @property
    def scopes(self) -> tuple[str, ...] | None:
        """Those the token has, where it says."""
        return None if self.claims is None else scopes_in(self.claims)


def of_request(token: object) -> RequestContext | None:
    """The request at hand, if *token* is what was presented with it; others are nobody's concern."""
    context = current.get()
    if context is None or context.token_id is None:
        return None
    if token == context.credential:
        return context
    if isinstance(token, bytes):
        token = token.decode("latin-1")
    if not isinstance(token, str):
        return None
    if context.credential is not None:
        return context if token == context.credential else None
    return context if fingerprint(token) == context.token_id else None  # an odd request: several tokens, or a query's


def keep(context: RequestContext, found: Checked) -> None:
    """Remember *found*: the last word counts, unless it is that another key does not fit either."""
    before = context.checked
    if before is None or found.verified or not before.verified:
        context.checked = found


def checked() -> Checked | None:
    """The result of the last check of what was presented with the request at hand."""
    context = current.get()
    found: Checked | None = None if context is None else context.checked
    return found


def note_answer() -> None:
    """Note what was checked, unless somebody has said more of a refusal.

    That it is no JWT is not noted: it may have been looked for elsewhere as well, and it shows.
    """
    context = current.get()
    found: Checked | None = None if context is None else context.checked
    if context is None or found is None:
        return
    if found.outcome is Outcome.SUCCESS:
        noted, claims = context.noted, found.claims
        if noted is not None and noted.verified and (claims is None or "scopes" not in claims):
            return
        said = noted is not None and noted.scopes is not None
        odd = not said and claims is not None and "scopes" in claims  # by the standard names they have been read
        note(verified=True, scopes=found.scopes if odd else None)
    elif found.outcome is not Outcome.MALFORMED and (context.noted is None or context.noted.outcome is None):
        note(found.outcome, reason=found.reason, verified=found.verified)


def note_refused(scope: Mapping[str, Any]) -> None:
    """Note that what came with an ASGI request was refused, and what it tells by itself.

    For refusals whose status does not say that they are about the token.
    """
    shown = scope["bearerwatch"].shown
    found = classify(shown, 401, None, None, time.time())
    note(found.outcome, reason=found.reason)


def raised_in(error: BaseException) -> tuple[str, Mapping[str, Any]]:
    """The module whose code raised *error*, and the names its function had; empty if that is not known."""
    trace = error.__traceback__
    if trace is None:
        return "", {}
    while trace.tb_next is not None:
        trace = trace.tb_next
    frame = trace.tb_frame
    return str(frame.f_globals.get("__name__", "")), frame.f_locals


def scopes_in(claims: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The scopes that a token says it has: ``scope`` (RFC 8693 §4.2), ``scp`` or ``scopes``; ``None`` without any."""
    for name in ("scope", "scp", "scopes"):
        said = claims.get(name)
        if isinstance(said, str):
            return tuple(said.split())
        if isinstance(said, list):
            return tuple(one for one in said if isinstance(one, str))
    return None
