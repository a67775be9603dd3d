"""What became of the credential of a request when it was checked, heard where that is known; the event tells it.

Many applications keep it to themselves: they check a token, swallow the exception, and refuse in words of their own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from bearerwatch.classify import classify
from bearerwatch.context import Checked, RequestContext, current, note
from bearerwatch.fingerprint import fingerprint

__all__ = ["checked", "keep", "note_refused", "of_request", "raised_in"]


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
    return None if context is None else context.checked


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
