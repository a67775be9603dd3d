"""What a server's variable, directive or key stands for, and the values of one line put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from bearerwatch.ingest.access import _values
from bearerwatch.ingest.access._line import AccessLine, request_line

__all__ = ["Field", "header", "headers", "ordered", "put_together"]


class Field(NamedTuple):
    """What one variable stands for."""

    name: str
    """An attribute of :class:`AccessLine`, or ``request`` for a whole request line."""
    read: Callable[[Any], Any]
    free: bool = False
    """Whether it is text that clients choose."""
    rank: int = 0
    """Of several with one name the lowest that says something counts."""


_HEADERS = {
    "user-agent": Field("user_agent", _values.text, free=True),
    "authorization": Field("authorization", _values.text, free=True),
    "x-forwarded-for": Field("forwarded_for", _values.text, free=True),
    "forwarded": Field("forwarded", _values.text, free=True),
    "x-request-id": Field("request_id", _values.text, free=True, rank=3),
    "x-correlation-id": Field("request_id", _values.text, free=True, rank=4),
    "traceparent": Field("traceparent", _values.text, free=True),
}


_SPELLED = ("User-Agent", "Authorization", "X-Forwarded-For", "Forwarded", "X-Request-Id", "Traceparent")


def header(name: str, *, answered: bool = False) -> Field | None:
    """What the request's header *name* stands for, or the answer's if *answered*.

    Only the id is of use in an answer: there a service says under which one it knows the request.
    """
    found = _HEADERS.get(name.lower())
    if not answered:
        return found
    return found._replace(rank=found.rank - 3) if found is not None and found.name == "request_id" else None


def headers(prefix: str) -> dict[str, Field]:
    """The headers of a request that mean something, spelled as HTTP does, by keys that begin with *prefix*."""
    found = {name: header(name) for name in _SPELLED}
    return {f"{prefix}{name}": field for name, field in found.items() if field is not None}


def ordered(fields: Iterable[tuple[Any, Field]]) -> list[tuple[Any, Field]]:
    """The same, those that count first in front."""
    return sorted(fields, key=lambda pair: pair[1].rank)


def put_together(values: dict[str, Any], *, asked: bool) -> AccessLine:
    """One line of the values found in it; *asked* says whether it has a place for ``Authorization``."""
    request = values.pop("request", None)
    if request is not None:
        method, target = request_line(request)
        values.setdefault("method", method)
        if "path" not in values:
            values.setdefault("target", target)
    return AccessLine(asked=asked, **values)
