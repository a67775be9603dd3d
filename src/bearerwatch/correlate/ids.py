"""The ids of the request at hand, as log lines have them."""

from __future__ import annotations

from collections.abc import Mapping

from bearerwatch import _trace
from bearerwatch.context import RequestContext, current

__all__ = ["LOG_IDS", "NOBODYS", "UNKNOWN", "ids_of", "known_ids", "log_ids"]

LOG_IDS = ("request_id", "trace_id", "span_id", "parent_request_id", "token_id", "task_id")
"""What a line is given; each is called as in the events."""
UNKNOWN = "-"
"""Stands for an id that is not known: a format that names it works outside of requests, too."""
NOBODYS: Mapping[str, str] = dict.fromkeys(LOG_IDS, UNKNOWN)
"""Those of a line that is of no request."""


def log_ids() -> Mapping[str, str]:
    """All of :data:`LOG_IDS` for a line written now; :data:`UNKNOWN` where there is none. Not to be changed."""
    context = current.get()
    return NOBODYS if context is None else ids_of(context)


def known_ids() -> dict[str, str]:
    """Those of :data:`LOG_IDS` that are known: nothing outside of a request."""
    context = current.get()
    if context is None:
        return {}
    return {name: value for name, value in ids_of(context).items() if value != UNKNOWN}


def ids_of(context: RequestContext) -> Mapping[str, str]:
    """All of :data:`LOG_IDS` of the request *context* is about.

    Trace and span are those of the tracer's span that is active, if there is one. Without a tracer, a request that
    belongs to no trace begins one with its first line, so that its lines, its event and the services it asks later
    share it; then the ids are made once.
    """
    tracer = _trace.tracer
    if tracer is None:
        shown: Mapping[str, str] | None = context.shown
        if shown is None:
            context.begin_trace()
            shown = context.shown = _ids(context, context.trace_id, context.span_id)
        return shown
    span = tracer.active()
    if span is not None:
        return _ids(context, span.trace_id, span.span_id)
    if not tracer.recording():
        context.begin_trace()
    return _ids(context, context.trace_id, context.span_id)


def _ids(context: RequestContext, trace_id: str | None, span_id: str | None) -> dict[str, str]:
    return {
        "request_id": context.request_id,
        "trace_id": trace_id or UNKNOWN,
        "span_id": span_id or UNKNOWN,
        "parent_request_id": context.parent_request_id or UNKNOWN,
        "token_id": context.token_id or UNKNOWN,
        "task_id": context.task_id or UNKNOWN,
    }
