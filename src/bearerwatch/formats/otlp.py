"""OpenTelemetry log records, and their JSON form.

Attributes have the names of the semantic conventions where there are some, and ``bearerwatch.auth.*`` where not:
there is no namespace for tokens. https://opentelemetry.io/docs/specs/semconv/

JSON is that of OTLP, which is protobuf's but for ids, which are hex, and for enums, which are numbers; 64-bit integers
are strings. https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from bearerwatch._version import __version__
from bearerwatch.event import FAILURES, Kind, Outcome
from bearerwatch.formats._json import without_surrogates
from bearerwatch.formats._told import summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bearerwatch.event import AuthEvent

__all__ = [
    "EVENT_NAME",
    "MAPPING",
    "SCOPE",
    "attributes",
    "encode",
    "event_name",
    "ids",
    "nanoseconds",
    "request",
    "severity",
]

EVENT_NAME = "bearerwatch.auth.decision"
"""``event_name`` of an event of kind ``auth``."""
SCOPE = "bearerwatch"
"""Name of the instrumentation scope."""

MAPPING: Mapping[str, str] = {
    "kind": "eventName",
    "event_id": "log.record.uid",
    "ts": "timeUnixNano",
    "outcome": "bearerwatch.auth.outcome",
    "reason": "bearerwatch.auth.reason",
    "verified": "bearerwatch.auth.verified",
    "status": "http.response.status_code",
    "duration_us": "bearerwatch.auth.duration_us",
    "count": "bearerwatch.auth.count",
    "detail": "bearerwatch.auth.detail",
    "service": "resource: service.name",
    "instance": "resource: service.instance.id",
    "method": "http.request.method and http.request.method_original",
    "route": "http.route",
    "path": "url.path",
    "token_id": "bearerwatch.auth.token_id",
    "token_id_prev": "bearerwatch.auth.token_id_prev",
    "presented_id": "bearerwatch.auth.presented_id",
    "scheme": "bearerwatch.auth.scheme",
    "token_kind": "bearerwatch.auth.token_kind",
    "token_source": "bearerwatch.auth.token_source",
    "subject_id": "user.id",
    "client_id": "bearerwatch.auth.client_id",
    "issuer": "bearerwatch.auth.issuer",
    "scopes": "bearerwatch.auth.scopes",
    "required_scopes": "bearerwatch.auth.required_scopes",
    "expires_at": "bearerwatch.auth.expires_at",
    "client_ip": "client.address",
    "peer_ip": "network.peer.address",
    "user_agent": "user_agent.original",
    "country": "geo.country.iso_code",
    "city": "geo.locality.name",
    "lat": "geo.location.lat",
    "lon": "geo.location.lon",
    "asn": "bearerwatch.auth.asn",
    "request_id": "bearerwatch.auth.request_id",
    "trace_id": "traceId or bearerwatch.auth.trace_id",
    "span_id": "spanId or bearerwatch.auth.span_id",
    "parent_request_id": "bearerwatch.auth.parent_request_id",
}
"""Where each field of an event stands: an attribute unless it is said."""

_NUMBERS = ("status", "duration_us", "expires_at", "lat", "lon", "asn")
_ELSEWHERE = frozenset({"kind", "ts", "verified", "count", "service", "instance", "method", "trace_id", "span_id"})
_TEXTS = tuple(name for name in MAPPING if name not in _ELSEWHERE and name not in _NUMBERS)
_TEXT_KEYS = tuple(MAPPING[name] for name in _TEXTS)
_texts = attrgetter(*_TEXTS)
_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
_TRACE = re.compile(r"(?!0{32})[0-9a-f]{32}", re.ASCII).fullmatch
_SPAN = re.compile(r"(?!0{16})[0-9a-f]{16}", re.ASCII).fullmatch
_LONG = 1 << 63
_NO_NUMBERS = {math.inf: b'"Infinity"', -math.inf: b'"-Infinity"'}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encoder = msgspec.json.Encoder()
_BEGINNINGS = tuple(b'{"key":"%b","value":{"stringValue":' % key.encode() for key in _TEXT_KEYS)
_RECORD = (
    b'{"timeUnixNano":"%d","observedTimeUnixNano":"%d","severityNumber":%d,"severityText":"%b","eventName":%b,'
    b'"body":{"stringValue":%b},"attributes":[%b}}]%b}'
)
_RESOURCE = b'{"resource":{"attributes":%b},"scopeLogs":[{"scope":%b,"logRecords":[%b]}]}'
_SCOPE = _encoder.encode({"name": SCOPE, "version": __version__})


def event_name(event: AuthEvent) -> str:
    """What OpenTelemetry calls events of this kind."""
    return EVENT_NAME if event.kind == Kind.AUTH else f"bearerwatch.{event.kind}"


def severity(event: AuthEvent) -> tuple[int, str]:
    """``SeverityNumber`` and its name: INFO for a request let in, WARN for a refusal and a leak, ERROR for a 5xx."""
    if event.outcome == Outcome.ERROR:
        return 17, "ERROR"
    return (13, "WARN") if event.outcome in FAILURES or event.kind == Kind.LEAK else (9, "INFO")


def nanoseconds(event: AuthEvent) -> int:
    """When it happened, in nanoseconds since 1970; microseconds are kept, which floats would not do."""
    since = event.ts - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000


def ids(event: AuthEvent) -> tuple[str | None, str | None]:
    """Trace and span id where they are what W3C Trace Context takes for one; else they are attributes."""
    trace = event.trace_id if event.trace_id is not None and _TRACE(event.trace_id) else None
    span = event.span_id if trace and event.span_id is not None and _SPAN(event.span_id) else None
    return trace, span


def attributes(event: AuthEvent) -> dict[str, str | int | float | bool]:
    """The record's attributes, each of its own type."""
    found: dict[str, Any] = {
        key: value for key, value in zip(_TEXT_KEYS, _texts(event), strict=True) if value is not None
    }
    if event.outcome is not None:
        found["bearerwatch.auth.outcome"] = str(event.outcome)
    return found | _others(event)


def request(events: Iterable[AuthEvent]) -> bytes:
    """``ExportLogsServiceRequest`` of *events* in JSON: what is posted to ``/v1/logs``.

    A process is a resource; times and ids are as OTLP wants them.
    """
    grouped: dict[tuple[str | None, str | None], list[bytes]] = {}
    for event in events:
        grouped.setdefault((event.service, event.instance), []).append(_record(event))
    found = (
        _RESOURCE % (_resource(service, instance), _SCOPE, b",".join(records))
        for (service, instance), records in grouped.items()
    )
    return b'{"resourceLogs":[%b]}' % b",".join(found)


def encode(event: AuthEvent) -> bytes:
    """*event* as a request of its own: one line of what OpenTelemetry's file exporter writes and its receiver reads."""
    return request((event,))


def _others(event: AuthEvent) -> dict[str, Any]:
    """Attributes that are no text, and those that depend on what their value is."""
    found: dict[str, Any] = {MAPPING[name]: value for name in _NUMBERS if (value := getattr(event, name)) is not None}
    if event.kind == Kind.AUTH:
        found["bearerwatch.auth.verified"] = event.verified
    if event.count != 1:
        found["bearerwatch.auth.count"] = event.count
    method = event.method
    if method is not None:
        known = method in _METHODS
        found["http.request.method"] = method if known else "_OTHER"
        if not known:
            found["http.request.method_original"] = method
    if event.trace_id is not None or event.span_id is not None:
        trace, span = ids(event)
        if event.trace_id is not None and trace is None:
            found["bearerwatch.auth.trace_id"] = event.trace_id
        if event.span_id is not None and span is None:
            found["bearerwatch.auth.span_id"] = event.span_id
    return found


def _record(event: AuthEvent) -> bytes:
    """A ``LogRecord`` in JSON."""
    try:
        # A line a value, all at once: three times as quick as to make dicts of them. An event id is always there.
        body, *texts = _encoder.encode_lines((summary(event), *_texts(event))).splitlines()
        pairs = [begin + text for begin, text in zip(_BEGINNINGS, texts, strict=True) if text != b"null"]
        pairs += [_pair(key, value) for key, value in _others(event).items()]
    except UnicodeEncodeError:
        return _record(without_surrogates(event))
    number, name = severity(event)
    trace, span = ids(event)
    chain = b"" if trace is None else b',"traceId":"%b"' % trace.encode()
    if span is not None:
        chain += b',"spanId":"%b"' % span.encode()
    time = nanoseconds(event)
    known_as = _encoder.encode(event_name(event))
    return _RECORD % (time, time, number, name.encode(), known_as, body, b"}},".join(pairs), chain)


@lru_cache(maxsize=1024)
def _resource(service: str | None, instance: str | None) -> bytes:
    named = {"service.name": service or "unknown_service", "service.instance.id": instance}
    told = {key: value.encode("utf-8", "replace").decode() for key, value in named.items() if value is not None}
    return b"[%b}}]" % b"}},".join(_pair(key, value) for key, value in told.items())


def _pair(key: str, value: Any) -> bytes:
    """A ``KeyValue`` in JSON, but for the two braces it ends with."""
    if type(value) is bool:
        told = b'"boolValue":true' if value else b'"boolValue":false'
    elif type(value) is int and -_LONG <= value < _LONG:
        told = b'"intValue":"%d"' % value
    elif type(value) is float:
        told = b'"doubleValue":' + (
            _encoder.encode(value) if math.isfinite(value) else _NO_NUMBERS.get(value, b'"NaN"')
        )
    else:
        told = b'"stringValue":' + _encoder.encode(str(value))
    return b'{"key":"%b","value":{%b' % (key.encode(), told)
