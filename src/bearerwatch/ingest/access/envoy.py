"""Envoy: its default text, any string of command operators, and JSON.

Envoy escapes nothing, so a line whose client's text holds a quote is read up to that text.
https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage
"""

from __future__ import annotations

import json
import re
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.access import _escapes, _values
from bearerwatch.ingest.access._fields import Field, header
from bearerwatch.ingest.access._json_lines import JsonLines
from bearerwatch.ingest.access._template import PLAIN, Part, Template

if TYPE_CHECKING:
    from bearerwatch.ingest.access import ReadLine
    from bearerwatch.ingest.access._line import AccessLine

__all__ = ["EXAMPLE", "open_format"]

EXAMPLE = 'envoy:[%START_TIME%] "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%" %RESPONSE_CODE% %DURATION%'
"""A layout for ``--help`` and for errors."""

_DEFAULT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
    '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"'
)
_OPERATOR = re.compile(r"%([A-Z_0-9]+)(?:\(([^)]*)\))?(?::\d+)?%")
_millis = _values.number(1_000_000)
_OPERATORS = {
    "RESPONSE_CODE": Field("status", _values.status),
    "DURATION": Field("duration_us", _millis),
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS": Field("peer", _values.text),
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT": Field("peer", _values.text),
    "DOWNSTREAM_REMOTE_ADDRESS": Field("client", _values.text),
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": Field("client", _values.text),
    "TRACE_ID": Field("trace_id", _values.text),
}
_PSEUDO = {
    ":method": Field("method", _values.text, free=True),
    ":path": Field("target", _values.text, free=True),
}


def open_format(layout: str, zone: tzinfo) -> ReadLine:
    """What reads Envoy's lines: *layout* is a ``text_format``'s string, or the object of a ``json_format``."""
    if layout.startswith("{"):
        return JsonLines(_keys(layout, zone), server="envoy")
    if layout:
        return _template(layout.removesuffix("\\n"), zone)
    text, lines = _template(_DEFAULT, zone), JsonLines(_usual_keys(zone), server="envoy")

    def read(line: str) -> AccessLine:
        return lines(line) if line.startswith("{") else text(line)

    return read


def _template(layout: str, zone: tzinfo) -> Template:
    parts: list[Part] = []
    done = 0
    for match in _OPERATOR.finditer(layout):
        parts += [layout[done : match.start()], (match[0], _field(match[1], match[2], zone))]
        done = match.end()
    parts.append(layout[done:])
    return Template(parts, unescape=_escapes.plain, quoted=PLAIN, hostile=True, server="envoy")


def _field(operator: str, argument: str | None, zone: tzinfo) -> Field | None:
    if operator == "START_TIME":
        read = _values.strftime(argument, zone) if argument else _values.iso(zone)
        if read is None:
            raise ConfigurationError("the envoy layout writes a time that cannot be read back: use %START_TIME%")
        return Field("started", read)
    if operator in ("REQ", "RESP") and argument:
        for name in argument.lower().split("?"):
            found = _PSEUDO.get(name) if operator == "REQ" else None
            found = found or header(name, answered=operator == "RESP")
            if name == "x-envoy-original-path":
                found = _PSEUDO[":path"]
            if found is not None:
                return found
        return None
    return _OPERATORS.get(operator)


def _keys(layout: str, zone: tzinfo) -> dict[str, Field]:
    """The keys of a ``json_format``, by what each is made of."""
    try:
        given = json.loads(layout)
    except (ValueError, RecursionError):
        raise ConfigurationError("the envoy layout begins with { and is no JSON: write json_format's object") from None
    found: dict[str, Field] = {}
    for path, value in _flat(given, ""):
        match = _OPERATOR.fullmatch(value)
        field = None if match is None else _field(match[1], match[2], zone)
        if field is not None:
            found[path] = field
    if not {"status", "target"} & {field.name for field in found.values()}:
        raise ConfigurationError("the envoy layout names neither a path nor a response code: add %RESPONSE_CODE%")
    return found


def _flat(value: Any, path: str) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in _flat(inner, f"{path}.{key}" if path else str(key))]
    return [(path, value)] if isinstance(value, str) else []


def _usual_keys(zone: tzinfo) -> dict[str, Field]:
    """Keys as in the examples of Envoy and as Istio writes them."""
    named = {
        "start_time": _field("START_TIME", None, zone),
        "method": _PSEUDO[":method"],
        "path": _PSEUDO[":path"],
        "response_code": _OPERATORS["RESPONSE_CODE"],
        "status": _OPERATORS["RESPONSE_CODE"],
        "duration": _OPERATORS["DURATION"],
        "downstream_direct_remote_address": _OPERATORS["DOWNSTREAM_DIRECT_REMOTE_ADDRESS"],
        "downstream_remote_address": _OPERATORS["DOWNSTREAM_REMOTE_ADDRESS"],
        "trace_id": _OPERATORS["TRACE_ID"],
        "x_forwarded_for": header("x-forwarded-for"),
        "user_agent": header("user-agent"),
        "request_id": header("x-request-id"),
        "x_request_id": header("x-request-id"),
        "authorization": header("authorization"),
        "traceparent": header("traceparent"),
    }
    return {name: field for name, field in named.items() if field is not None}
