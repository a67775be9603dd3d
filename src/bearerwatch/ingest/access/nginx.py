"""nginx: ``combined`` and the ``main`` of its packages, any ``log_format``, and lines of JSON.

https://nginx.org/en/docs/http/ngx_http_log_module.html
"""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import TYPE_CHECKING

from bearerwatch.ingest.access import _escapes, _values
from bearerwatch.ingest.access._fields import Field, header
from bearerwatch.ingest.access._json_lines import JsonLines
from bearerwatch.ingest.access._template import ESCAPED, PLAIN, Part, Template

if TYPE_CHECKING:
    from bearerwatch.ingest.access import ReadLine
    from bearerwatch.ingest.access._line import AccessLine

__all__ = ["EXAMPLE", "open_format"]

EXAMPLE = 'nginx:$remote_addr [$time_iso8601] "$request" $status $request_time $request_id'
"""A layout for ``--help`` and for errors."""

_COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)
_VARIABLE = re.compile(r"\$(?:\{([a-z0-9_]+)\}|([a-z0-9_]+))")
_ESCAPE = re.compile(r"escape=(default|json|none)\s+")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'\s*|\"((?:[^\"\\]|\\.)*)\"\s*")
_seconds = _values.number(1_000_000_000)


def open_format(layout: str, zone: tzinfo) -> ReadLine:
    """What reads nginx's lines: *layout* is a ``log_format``'s string, with its ``escape=`` in front if it has one."""
    if layout:
        return _template(layout, zone, tail=False)
    text = _template(_COMBINED, zone, tail=True)
    lines = JsonLines({name: field for name, field in _keys(zone).items() if "." not in name}, server="nginx")

    def read(line: str) -> AccessLine:
        return lines(line) if line.startswith("{") else text(line)

    return read


def _template(layout: str, zone: tzinfo, *, tail: bool) -> Template:
    escape = _ESCAPE.match(layout)
    if escape is not None:
        layout = layout[escape.end() :]
    pieces = list(_QUOTED.finditer(layout))
    if layout[:1] == "'" and "".join(piece[0] for piece in pieces) == layout:  # copied from the file with its quotes
        layout = "".join(piece[1] if piece[1] is not None else piece[2] for piece in pieces)
    names = {match[1] or match[2] for match in _VARIABLE.finditer(layout)}
    parts: list[Part] = []
    done = 0
    for match in _VARIABLE.finditer(layout):
        name = match[1] or match[2]
        parts += [layout[done : match.start()], (match[0], _field(name, zone, real="realip_remote_addr" in names))]
        done = match.end()
    parts.append(layout[done:].rstrip())
    style = "default" if escape is None else escape[1]
    unescape = {"default": _escapes.nginx, "json": _escapes.json_string, "none": _escapes.plain}[style]
    quoted = PLAIN if style == "none" else ESCAPED
    return Template(parts, unescape=unescape, quoted=quoted, hostile=style == "none", tail=tail, server="nginx")


def _field(name: str, zone: tzinfo, *, real: bool) -> Field | None:
    if name == "remote_addr" and real:  # the realip module has put the caller in place of the peer
        return Field("client", _values.text)
    found = _keys(zone).get(name)
    if found is not None:
        return found
    for prefix, answered in (("http_", False), ("sent_http_", True), ("upstream_http_", True)):
        if name.startswith(prefix):
            return header(name.removeprefix(prefix).replace("_", "-"), answered=answered)
    return None


def _keys(zone: tzinfo) -> dict[str, Field]:
    """Variables by name; as keys of JSON lines too, where people name them so, or as the last few."""
    return {
        "remote_addr": Field("peer", _values.text, rank=1),
        "realip_remote_addr": Field("peer", _values.text),
        "proxy_protocol_addr": Field("client", _values.text, rank=1),
        "msec": Field("ended", _values.epoch(1)),
        "time_iso8601": Field("ended", _values.iso(zone), rank=1),
        "time_local": Field("ended", _values.clf, rank=2),
        "request": Field("request", _values.text, free=True),
        "request_method": Field("method", _values.text, free=True),
        "request_uri": Field("target", _values.text, free=True),
        "uri": Field("path", _values.text, free=True, rank=1),
        "document_uri": Field("path", _values.text, free=True, rank=1),
        "args": Field("query", _values.text, free=True),
        "query_string": Field("query", _values.text, free=True),
        "arg_access_token": Field("query_token", _values.text, free=True),
        "status": Field("status", _values.status),
        "request_time": Field("duration_us", _seconds),
        "request_id": Field("request_id", _values.text, rank=2),
        "otel_trace_id": Field("trace_id", _values.text),
        **_named("http_user_agent", "user-agent"),
        **_named("http_authorization", "authorization"),
        **_named("http_x_forwarded_for", "x-forwarded-for"),
        **_named("http_x_request_id", "x-request-id"),
        **_named("http_traceparent", "traceparent"),
        "time": Field("ended", _values.iso(zone), rank=3),
        "timestamp": Field("ended", _values.iso(zone), rank=3),
        "@timestamp": Field("ended", _values.iso(zone), rank=3),
        "remote_ip": Field("peer", _values.text, rank=2),
        "client_ip": Field("peer", _values.text, rank=2),
        "method": Field("method", _values.text, rank=1),
        "user_agent": Field("user_agent", _values.text, rank=1),
    }


def _named(name: str, of: str) -> dict[str, Field]:
    found = header(of)
    return {} if found is None else {name: found}
