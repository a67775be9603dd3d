"""What goes with a job to the worker that does it, and what the worker makes of it.

A broker is written to by others: what comes from one is believed as far as its form goes, and no further. A token never
goes there, nor whose it is: what goes is which request it was, its place in the trace, and the token's fingerprint.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from bearerwatch.context import RequestContext, current, live, onward, valid_request_id
from bearerwatch.fingerprint import ring
from bearerwatch.known import MAX_HELD
from bearerwatch.redact.engine import MIN_LIVE, redact_text

__all__ = ["KEY", "begin", "end", "hold", "shown", "told"]

KEY = "bearerwatch"
"""Under what name it stands among a message's headers, or in a job's ``meta``."""

_TOKEN_ID = re.compile(r"(?:k[0-9a-f]{8}:[0-9a-f]{32}|short:[0-9]{1,2})\Z")
_TASK_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}\Z")
_MAX_LOOKED_AT = 256


class _Job(RequestContext, gc=False):
    """The request behind the job at hand, and what is held live for as long as the job lasts."""

    tickets: tuple[object, ...] = ()


def told() -> dict[str, str] | None:
    """What a job is told of the request that causes it; ``None`` outside of one."""
    context = current.get()
    if context is None:
        return None
    headers = onward()
    found = {"request_id": context.request_id, "traceparent": headers["traceparent"]}
    if "tracestate" in headers:
        found["tracestate"] = headers["tracestate"]
    if context.token_id is not None:
        found["token_id"] = context.token_id
    return found


def shown(text: object) -> str | None:
    """What a queue shows of a job, for people and in logs, without tokens; ``None`` if that is as it is already.

    The process that enqueues knows an opaque token by value. Whoever shows the text later does not.
    """
    clean = redact_text(text) if isinstance(text, str) else text
    return clean if isinstance(clean, str) and clean != text else None


def begin(what: object, task_id: object) -> None:
    """A job begins: what happens from here on is for the request that *what* tells of, if that is of the right form.

    A job that no request has caused is for none, whatever was at hand before.
    """
    current.set(None)  # whatever this thread has done last; and should the rest fail
    current.set(_request(what, task_id))


def end() -> None:
    """The job is over."""
    context = current.get()
    current.set(None)
    if isinstance(context, _Job):
        for ticket in context.tickets:
            live.discard(ticket)


def hold(*arguments: object) -> None:
    """Hold live whatever among a job's *arguments* is the token that its request came with.

    An opaque token has no form to be told by, and only the process that received it knows it by value. Who hands it on
    to a job does so against all advice; it is still not to be logged. The fingerprint tells which argument it is.
    """
    context = current.get()
    if not isinstance(context, _Job) or context.token_id is None or not context.token_id.startswith("k"):
        return
    ids = ring().all_ids
    for text in _strings(arguments):
        credential = text.rpartition(" ")[2]  # behind its scheme, perhaps
        if MIN_LIVE <= len(credential) <= MAX_HELD and context.token_id in ids(credential):
            context.tickets += (live.add(credential),)


def _request(what: object, task_id: object) -> _Job | None:
    if not isinstance(what, Mapping):
        return None
    request_id = valid_request_id(_text(what.get("request_id")))
    if request_id is None or redact_text(request_id) != request_id:
        return None
    token_id = _text(what.get("token_id"))
    if token_id is not None and _TOKEN_ID.match(token_id) is None:
        token_id = None
    task = _text(task_id)
    if task is not None and (_TASK_ID.match(task) is None or redact_text(task) != task):
        task = None
    job = _Job(request_id, None, None, token_id, task_id=task)
    traceparent = _text(what.get("traceparent"))
    if traceparent is not None:
        job.take_trace(traceparent, _text(what.get("tracestate")))
    return job


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _strings(arguments: object) -> Iterator[str]:
    """Texts in *arguments*, and in the lists and dicts among them, as far as a bounded look goes."""
    waiting: list[Any] = [arguments]
    for _ in range(_MAX_LOOKED_AT):
        if not waiting:
            return
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            waiting += list(value.values())[:_MAX_LOOKED_AT]
        elif isinstance(value, list | tuple | set | frozenset):
            waiting += list(value)[:_MAX_LOOKED_AT]
