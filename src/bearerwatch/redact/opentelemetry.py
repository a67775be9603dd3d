"""Redaction for OpenTelemetry: spans and log records without tokens, before anybody exports them.

A finished span is read-only, and what was set on it is the application's: so a copy is passed on. The processors here
are put around the project's own, and work while the request is at hand, when its token is known by value:
``provider.add_span_processor(RedactingSpanProcessor(BatchSpanProcessor(exporter)))``. The exporters are for where only
an exporter can be chosen; they run later, and tell tokens by their form alone.
https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-processor
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from bearerwatch import _guard
from bearerwatch.errors import DidNotEnable
from bearerwatch.redact.engine import redact_text
from bearerwatch.redact.logging import PLACEHOLDER, redacted_traceback
from bearerwatch.redact.structure import redact_value

try:
    from opentelemetry.attributes import BoundedAttributes
    from opentelemetry.sdk._logs import LogRecordProcessor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Link, Status
except ImportError:  # pragma: no cover - exercised in a subprocess
    raise DidNotEnable("OpenTelemetry's SDK is not installed: pip install opentelemetry-sdk") from None

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span
    from opentelemetry.sdk.trace.export import SpanExportResult

__all__ = [
    "RedactingLogRecordExporter",
    "RedactingLogRecordProcessor",
    "RedactingSpanExporter",
    "RedactingSpanProcessor",
]


class RedactingSpanProcessor(SpanProcessor):
    """Passes finished spans on without tokens: names, attributes, events, links, status, and the resource's attributes.

    Args:
        processor: what exports them.
    """

    def __init__(self, processor: SpanProcessor) -> None:
        self._processor = processor
        self._clean = _Spans()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Passed on as it is: the application goes on with this span."""
        self._processor.on_start(span, parent_context)

    def _on_ending(self, span: Span) -> None:
        self._processor._on_ending(span)  # noqa: SLF001 - the SDK calls it so on each processor

    def on_end(self, span: ReadableSpan) -> None:
        """Pass on a copy without tokens, or *span* itself where it holds none."""
        self._processor.on_end(self._clean(span))

    def shutdown(self) -> None:
        """Passed on."""
        self._processor.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Passed on."""
        return self._processor.force_flush(timeout_millis)


class RedactingSpanExporter(SpanExporter):
    """Exports spans without tokens.

    Args:
        exporter: where they go.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._clean = _Spans()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export copies without tokens."""
        return self._exporter.export([self._clean(span) for span in spans])

    def shutdown(self) -> None:
        """Passed on."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Passed on."""
        return self._exporter.force_flush(timeout_millis)


class RedactingLogRecordProcessor(LogRecordProcessor):
    """Passes log records on without tokens: body, attributes, name of the event.

    Args:
        processor: what exports them.
    """

    def __init__(self, processor: LogRecordProcessor) -> None:
        self._processor = processor
        self._clean = _Logs()

    def on_emit(self, log_record: Any) -> None:
        """Pass on a copy without tokens, or *log_record* itself where it holds none."""
        self._processor.on_emit(self._clean(log_record))

    def enabled(self, *args: Any, **kwargs: Any) -> bool:
        """Passed on."""
        return self._processor.enabled(*args, **kwargs)

    def shutdown(self) -> None:
        """Passed on."""
        self._processor.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Passed on."""
        return self._processor.force_flush(timeout_millis)


class RedactingLogRecordExporter:
    """Exports log records without tokens.

    Args:
        exporter: where they go.
    """

    def __init__(self, exporter: Any) -> None:
        self._exporter = exporter
        self._clean = _Logs()

    def export(self, batch: Sequence[Any]) -> Any:
        """Export copies without tokens."""
        return self._exporter.export([self._clean(record) for record in batch])

    def shutdown(self) -> None:
        """Passed on."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> Any:
        """Passed on."""
        return self._exporter.force_flush(timeout_millis)


class _Resources:
    """Resources without tokens, as a command line may hold them; there is one for a process."""

    def __init__(self) -> None:
        self._known: tuple[Resource | None, Resource | None] = (None, None)

    def __call__(self, resource: Any) -> Any:
        known, clean = self._known
        if known is not resource or resource is None:
            attributes = _attributes(resource.attributes) if resource is not None else None
            same = resource is None or attributes is resource.attributes
            clean = resource if same else Resource(dict(attributes or {}), resource.schema_url)
            self._known = (resource, clean)
        return clean


class _Spans:
    def __init__(self) -> None:
        self._resource = _Resources()

    def __call__(self, span: ReadableSpan) -> ReadableSpan:
        try:
            return self._redacted(span)
        except Exception as error:  # noqa: BLE001 - host boundary: no request fails because of us
            _guard.swallowed("redaction of a span", error)
            return _copied(
                span, name=PLACEHOLDER, attributes={}, events=(), links=(), status=Status(span.status.status_code)
            )

    def _redacted(self, span: ReadableSpan) -> ReadableSpan:
        status, before, resource = span.status, span.attributes, span.resource  # some are made anew at each look
        told = redact_text(status.description) if status.description else status.description
        parts: dict[str, Any] = {
            "name": redact_text(span.name),
            "attributes": _attributes(before),
            "events": _each(span.events, _event),
            "links": _each(span.links, _link),
            "status": Status(status.status_code, told),
            "resource": self._resource(resource),
        }
        same = {
            "name": parts["name"] == span.name,
            "attributes": parts["attributes"] is before,
            "events": parts["events"] is None,
            "links": parts["links"] is None,
            "status": told == status.description,
            "resource": parts["resource"] is resource,
        }
        changed = {key: value for key, value in parts.items() if not same[key]}
        return _copied(span, **changed) if changed else span


def _copied(span: ReadableSpan, **parts: Any) -> ReadableSpan:
    copied: dict[str, Any] = {
        "name": span.name,
        "context": span.context,
        "parent": span.parent,
        "resource": span.resource,
        "attributes": span.attributes,
        "events": span.events,
        "links": span.links,
        "kind": span.kind,
        "status": span.status,
        "start_time": span.start_time,
        "end_time": span.end_time,
        "instrumentation_scope": span.instrumentation_scope,
    }
    return ReadableSpan(**(copied | parts))


def _attributes(attributes: Any) -> Any:
    """*attributes* themselves if they hold no token."""
    if not attributes:
        return attributes
    before = dict(attributes)
    clean = redact_value(before)
    if clean is before or clean == before:
        return attributes
    made = BoundedAttributes(attributes=clean)
    made.dropped = getattr(attributes, "dropped", 0)
    return made


def _each(items: Any, clean: Any) -> Any:
    """Each of *items* without tokens, or ``None`` if none of them holds one."""
    cleaned = [clean(item) for item in items]
    return None if all(a is b for a, b in zip(cleaned, items, strict=True)) else cleaned


def _event(event: Any) -> Any:
    name, attributes = redact_text(event.name), _attributes(event.attributes)
    if name == event.name and attributes is event.attributes:
        return event
    return Event(name, attributes, event.timestamp)


def _link(link: Any) -> Any:
    attributes = _attributes(link.attributes)
    return link if attributes is link.attributes else Link(link.context, attributes)


class _Logs:
    def __init__(self) -> None:
        self._resource = _Resources()

    def __call__(self, record: Any) -> Any:
        inner = record.log_record
        try:
            changes = self._changes(inner)
            resource = self._resource(getattr(record, "resource", None))
        except Exception as error:  # noqa: BLE001 - host boundary: a log call never raises because of us
            _guard.swallowed("redaction of an OpenTelemetry log record", error)
            changes, resource = {"body": PLACEHOLDER, "attributes": {}, "event_name": None, "exception": None}, None
        if not changes and resource is getattr(record, "resource", None):
            return record
        cleaned = copy.copy(inner)
        for key, value in changes.items():
            setattr(cleaned, key, value)
        clean = copy.copy(record)
        object.__setattr__(clean, "log_record", cleaned)  # one of the two kinds of records is frozen
        if resource is not None:
            object.__setattr__(clean, "resource", resource)
        return clean

    @staticmethod
    def _changes(inner: Any) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        for key in ("body", "event_name"):
            value = getattr(inner, key, None)
            clean = redact_value(value)
            if clean is not value and clean != value:
                changes[key] = clean
        before = dict(inner.attributes or {})
        clean = redact_value(before)
        if clean is not before and clean != before:
            changes["attributes"] = clean
        error = getattr(inner, "exception", None)
        if error is not None and redacted_traceback((type(error), error, error.__traceback__)) is not None:
            changes["exception"] = None  # its text is in the attributes
        return changes
