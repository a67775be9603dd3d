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
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from bearerwatch._version import __version__
from bearerwatch.event import FAILURES, Kind, Outcome
from bearerwatch.formats import _json
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
    "to_otlp",
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

_ELSEWHERE = frozenset({"kind", "ts", "verified", "count", "service", "instance", "method", "trace_id", "span_id"})
_NAMES = tuple(name for name in MAPPING if name not in _ELSEWHERE)
_PLACES = tuple(MAPPING[name] for name in _NAMES)
_values = attrgetter(*_NAMES)
_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
_TRACE = re.compile(r"(?!0{32})[0-9a-f]{32}", re.ASCII).fullmatch
_SPAN = re.compile(r"(?!0{16})[0-9a-f]{16}", re.ASCII).fullmatch
_LONG = 1 << 63
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encoder = msgspec.json.Encoder()


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
        place: value for place, value in zip(_PLACES, _values(event), strict=True) if value is not None
    }
    if event.kind == Kind.AUTH:
        found["bearerwatch.auth.verified"] = event.verified
    if event.count != 1:
        found["bearerwatch.auth.count"] = event.count
    if event.outcome is not None:
        found["bearerwatch.auth.outcome"] = str(event.outcome)
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


def to_otlp(event: AuthEvent) -> dict[str, Any]:
    """*event* as a ``LogRecord`` in OTLP's JSON; service and instance are the resource's, see :func:`request`."""
    number, text = severity(event)
    time = str(nanoseconds(event))
    record: dict[str, Any] = {
        "timeUnixNano": time,
        "observedTimeUnixNano": time,
        "severityNumber": number,
        "severityText": text,
        "eventName": event_name(event),
        "body": {"stringValue": summary(event)},
        "attributes": [
            {"key": key, "value": {"stringValue": value} if type(value) is str else _value(value)}
            for key, value in attributes(event).items()
        ],
    }
    if event.trace_id is not None:
        trace, span = ids(event)
        if trace is not None:
            record["traceId"] = trace
        if span is not None:
            record["spanId"] = span
    return record


def request(events: Iterable[AuthEvent]) -> bytes:
    """``ExportLogsServiceRequest`` of *events* in JSON: what is posted to ``/v1/logs``."""
    grouped: dict[tuple[str | None, str | None], list[Any]] = {}
    for event in events:
        grouped.setdefault((event.service, event.instance), []).append(to_otlp(event))
    found = [_resource(service, instance, records) for (service, instance), records in grouped.items()]
    return _encoder.encode({"resourceLogs": found})


def encode(event: AuthEvent) -> bytes:
    """*event* as a request of its own: one line of what OpenTelemetry's file exporter writes and its receiver reads."""
    return _json.encode(_alone, event)


def _alone(event: AuthEvent) -> dict[str, Any]:
    return {"resourceLogs": [_resource(event.service, event.instance, [to_otlp(event)])]}


def _resource(service: str | None, instance: str | None, records: list[Any]) -> dict[str, Any]:
    named = {"service.name": service or "unknown_service", "service.instance.id": instance}
    told = [{"key": key, "value": {"stringValue": value}} for key, value in named.items() if value is not None]
    scope = {"name": SCOPE, "version": __version__}
    return {"resource": {"attributes": told}, "scopeLogs": [{"scope": scope, "logRecords": records}]}


def _value(value: Any) -> dict[str, Any]:
    if type(value) is bool:
        return {"boolValue": value}
    if type(value) is int:
        return {"intValue": str(value)} if -_LONG <= value < _LONG else {"stringValue": str(value)}
    if math.isfinite(value):
        return {"doubleValue": value}
    return {"doubleValue": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
