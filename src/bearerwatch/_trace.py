"""W3C Trace Context, sans-IO, and where the process's own tracer is, if it has one.

https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Protocol

__all__ = ["SAMPLED", "Span", "Tracer", "parse_traceparent", "parse_tracestate", "passed_flags", "tracer"]

SAMPLED = "01"
"""The flags of a trace whose caller may have recorded something: a watched request leaves an event."""
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?\Z")
_TRACEPARENT_00 = 55
_MAX_TRACEPARENT = 256
_FLAGS = 53
"""Where in a ``traceparent`` of any version its flags begin."""
_DEFINED = 0x03
"""The flags that mean something."""
_MAX_TRACESTATE = 512
_MAX_MEMBERS = 32
_MEMBER = re.compile(r"([a-z0-9][a-z0-9_*/@-]{0,255})=[ -+\--<>-~]{0,255}[!-+\--<>-~]\Z")
"""A member of a ``tracestate``: its value holds neither comma nor ``=``."""


class Span(NamedTuple):
    """A span of the process's own tracer."""

    trace_id: str
    span_id: str
    flags: str
    """Two hex digits."""
    tracestate: str | None


class Tracer(Protocol):
    """The tracer of the application. None of it raises."""

    def active(self) -> Span | None:
        """The span that is active now."""

    def recording(self) -> bool:
        """Whether spans are recorded in this process, so that a request without one may yet be given one."""

    def begun(self, context: Any) -> None:
        """A request begins: if a span is active, it is the request's."""

    def finished(self, context: Any, event: Any, *, plain: bool) -> None:
        """Tell the request's span what became of it; *plain* says that the event's subject is no pseudonym."""


tracer: Tracer | None = None
"""Set once the application has loaded a tracer."""


def parse_traceparent(value: str | None) -> tuple[str | None, str | None]:
    """Trace id and parent span id of a W3C ``traceparent`` header; ``(None, None)`` if it is none.

    https://www.w3.org/TR/trace-context/#traceparent-header
    """
    if value is None or len(value) > _MAX_TRACEPARENT:
        return None, None
    match = _TRACEPARENT.match(value)
    if match is None or value.startswith("ff") or not match[1].strip("0") or not match[2].strip("0"):
        return None, None
    if value.startswith("00") and len(value) != _TRACEPARENT_00:  # only a later version may say more
        return None, None
    return match[1], match[2]


def passed_flags(traceparent: str) -> str:
    """The flags to pass on of a ``traceparent`` that :func:`parse_traceparent` could read.

    Whether it is sampled, and whether its trace id is random (https://www.w3.org/TR/trace-context-2/#trace-flags). The
    other bits have no meaning yet, and whoever passes a trace on sets them to zero.
    """
    return f"{int(traceparent[_FLAGS : _FLAGS + 2], 16) & _DEFINED:02x}"


def parse_tracestate(value: str | None) -> str | None:
    """*value* if it may be passed on as ``tracestate``, else ``None``: it is all or nothing (§3.3.1).

    It says what tracers of others want to know of the trace, in up to 32 members; nothing here reads it. More than 512
    characters need not be passed on.
    """
    if not value or len(value) > _MAX_TRACESTATE:
        return None
    members = [member.strip(" \t") for member in value.split(",")]
    members = [member for member in members if member]
    if not members or len(members) > _MAX_MEMBERS:
        return None
    keys = set()
    for member in members:
        match = _MEMBER.match(member)
        if match is None or match[1] in keys:
            return None
        keys.add(match[1])
    return ",".join(members)
