"""AWS Application Load Balancer: its fields in order, of which later versions have more behind.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html#access-log-entry-format
"""

from __future__ import annotations

import re
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING

from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.access import _values
from bearerwatch.ingest.access._line import AccessLine, Unreadable, request_line

if TYPE_CHECKING:
    from bearerwatch.ingest.access import ReadLine

__all__ = ["open_format"]

_FIELD = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"|([^ "]\S*+)')
_TYPES = frozenset({"http", "https", "h2", "grpcs", "ws", "wss"})
_LEAST = 13
_CLIENT, _STATUS, _REQUEST, _AGENT, _TRACE, _CREATED = 3, 8, 12, 13, 17, 21
_ROOT = re.compile(r"\bRoot=(1-([0-9a-f]{8})-([0-9a-f]{24}))(?![0-9a-f])")
_PORT = re.compile(r":\d{1,5}\Z")
_seconds = _values.number(1_000_000_000)
_moment = _values.iso(UTC)


def open_format(layout: str, zone: tzinfo) -> ReadLine:  # noqa: ARG001 - its times are UTC
    """What reads the load balancer's lines; it takes no *layout*."""
    if layout:
        raise ConfigurationError("the load balancer's access line has no layout of its own: say alb alone")
    return _read


def _read(line: str) -> AccessLine:
    fields = [quoted or plain for quoted, plain in _FIELD.findall(line)]
    if len(fields) < _LEAST or fields[0] not in _TYPES:
        raise Unreadable(
            "layout", "the line is no access-log entry of an Application Load Balancer; is it a connection log?"
        )
    method, target = request_line(fields[_REQUEST])
    if method == "-":
        method = target = None
    spent = [_seconds(value) for value in fields[5:8]]
    known = [part for part in spent if part is not None]  # -1: it never came to that
    started = _moment(fields[_CREATED]) if len(fields) > _CREATED else None
    root = _ROOT.search(fields[_TRACE]) if len(fields) > _TRACE else None
    return AccessLine(
        started=started,
        ended=_moment(fields[1]),
        duration_us=sum(known) if known else None,
        status=_values.status(fields[_STATUS]),
        method=method,
        target=target,
        peer=_values.text(_PORT.sub("", fields[_CLIENT])),
        user_agent=_values.text(fields[_AGENT]) if len(fields) > _AGENT else None,
        request_id=None if root is None else root[1],
        trace_id=None if root is None else root[2] + root[3],  # as OpenTelemetry translates them
    )
