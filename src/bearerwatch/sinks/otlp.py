"""Events as OpenTelemetry log records, over OTLP/HTTP.

Where the application has set a ``LoggerProvider``, they go through it, with its resource and to wherever its own logs
go. Else OpenTelemetry's OTLP/HTTP exporter sends them, which ``OTEL_EXPORTER_OTLP_ENDPOINT``, ``…_HEADERS``,
``…_TIMEOUT`` and the like configure. A thread does either, see :class:`~bearerwatch.sinks._courier.Courier`.
https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bearerwatch._version import __version__
from bearerwatch.errors import ConfigurationError
from bearerwatch.formats import otlp
from bearerwatch.formats._json import without_surrogates
from bearerwatch.formats._told import summary
from bearerwatch.sinks._courier import Courier

try:
    from opentelemetry import _logs as api
    from opentelemetry import context as contexts
    from opentelemetry import trace
    from opentelemetry._logs._internal import ProxyLoggerProvider
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk._logs.export import LogRecordExportResult
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
except ImportError:  # pragma: no cover - exercised in a subprocess
    raise ConfigurationError(
        "sinks (BEARERWATCH_SINKS): otlp needs OpenTelemetry's SDK and its exporter: pip install 'bearerwatch[otlp]'"
    ) from None

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bearerwatch.event import AuthEvent
    from bearerwatch.settings import Settings

__all__ = ["OtlpSink", "open_sink"]

_LONG = 1 << 63
_SCOPE = InstrumentationScope(otlp.SCOPE, __version__)


class OtlpSink:
    """Sends each event as one log record.

    Raises:
        ValueError: one of ``OTEL_EXPORTER_OTLP_…`` cannot be used.
    """

    def __init__(self) -> None:
        # Made here, though nothing is sent yet, for it loads its HTTP client: a fork while the thread does so would
        # leave the child with half of it.
        self._exporter: OTLPLogExporter | None = OTLPLogExporter()
        self._base = Resource.create({})  # asks in threads, which cannot be had any more while a process ends
        self._resources: dict[tuple[str | None, str | None], Resource] = {}
        self._courier = Courier("otlp", self._deliver, forked=self._hang_up)
        self.send = self._courier.send

    @property
    def dropped(self) -> int:
        """Events lost so far."""
        return self._courier.dropped

    def _deliver(self, events: list[AuthEvent]) -> int:
        provider = api.get_logger_provider()
        if isinstance(provider, ProxyLoggerProvider):  # the application has set none
            lost = self._exported(events)
        else:
            lost = 0
            logger = provider.get_logger(otlp.SCOPE, __version__)
            for event in events:
                told = {"service.name": event.service, "service.instance.id": event.instance}
                named = {name: value for name, value in told.items() if value is not None}
                logger.emit(_record(event, named))
        events.clear()
        return lost

    def _exported(self, events: Sequence[AuthEvent]) -> int:
        if self._exporter is None:
            self._exporter = OTLPLogExporter()
        records = [ReadableLogRecord(_record(event, {}), self._resource(event), _SCOPE) for event in events]
        # What instruments the exporter's HTTP client would make spans of this.
        token = contexts.attach(contexts.set_value(contexts._SUPPRESS_INSTRUMENTATION_KEY, True))  # noqa: SLF001
        try:
            result = self._exporter.export(records)  # tries again by itself, until its timeout
        finally:
            contexts.detach(token)
        return 0 if result is LogRecordExportResult.SUCCESS else len(records)

    def _resource(self, event: AuthEvent) -> Resource:
        key = (event.service, event.instance)
        known = self._resources.get(key)
        if known is None:
            named = {"service.name": event.service, "service.instance.id": event.instance}
            known = self._base.merge(Resource({name: value for name, value in named.items() if value is not None}))
            self._resources[key] = known  # one, unless somebody forks
        return known

    def _hang_up(self) -> None:
        exporter, self._exporter = self._exporter, None
        self._resources.clear()
        if exporter is not None:
            exporter.shutdown()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Deliver what is left, and hang up."""
        self._courier.close()
        self._hang_up()


def _record(event: AuthEvent, more: dict[str, Any]) -> api.LogRecord:
    try:
        attributes, body = _checked(event), summary(event)
        body.encode()
    except UnicodeEncodeError:
        event = without_surrogates(event)
        attributes, body = _checked(event), summary(event)
    number, text = otlp.severity(event)
    moment = otlp.nanoseconds(event)
    return api.LogRecord(
        timestamp=moment,
        observed_timestamp=moment,
        context=_context(event),
        severity_number=api.SeverityNumber(number),
        severity_text=text,
        body=body,
        attributes=attributes | more,
        event_name=otlp.event_name(event),
    )


def _checked(event: AuthEvent) -> dict[str, Any]:
    """The attributes as protobuf can hold them: a batch with others would be lost as a whole.

    Raises:
        UnicodeEncodeError: there are lone surrogates.
    """
    found: dict[str, Any] = otlp.attributes(event)
    for name, value in found.items():
        if type(value) is str:
            value.encode()
        elif type(value) is int and not -_LONG <= value < _LONG:
            found[name] = str(value)
    return found


def _context(event: AuthEvent) -> contexts.Context:
    trace_id, span_id = otlp.ids(event)
    if trace_id is None:
        return trace.set_span_in_context(trace.INVALID_SPAN, contexts.Context())
    span = trace.SpanContext(
        int(trace_id, 16), 0 if span_id is None else int(span_id, 16), is_remote=False, trace_flags=trace.TraceFlags(0)
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(span), contexts.Context())


def open_sink(_settings: Settings) -> OtlpSink:
    """The sink ``otlp``. Nothing is connected yet."""
    return OtlpSink()
