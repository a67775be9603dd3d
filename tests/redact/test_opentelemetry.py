"""OpenTelemetry: what its exporters are given holds no token, and the application's spans stay as they were."""
# ruff: noqa: G004 - log calls as people write them

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    InMemoryLogRecordExporter,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from bearerwatch import _guard
from bearerwatch.context import live
from bearerwatch.fingerprint import ring
from bearerwatch.redact.logging import PLACEHOLDER
from bearerwatch.redact.opentelemetry import (
    RedactingLogRecordExporter,
    RedactingLogRecordProcessor,
    RedactingSpanExporter,
    RedactingSpanProcessor,
)
from fakes import jwt, leaked, opaque

RESOURCE = Resource({"service.name": "orders"})


def tracing(how: str, exporter: InMemorySpanExporter, resource: Resource = RESOURCE) -> TracerProvider:
    """A provider whose spans are redacted in that way."""
    processors: dict[str, SpanProcessor] = {
        "simple": RedactingSpanProcessor(SimpleSpanProcessor(exporter)),
        "batch": RedactingSpanProcessor(BatchSpanProcessor(exporter)),
        "exporter": SimpleSpanProcessor(RedactingSpanExporter(exporter)),
        "batch-exporter": BatchSpanProcessor(RedactingSpanExporter(exporter)),
    }
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(processors[how])
    return provider


WAYS = ("simple", "batch", "exporter", "batch-exporter")


def fail(token: str) -> None:
    raise ValueError(f"cannot take {token}")


@pytest.mark.parametrize("how", WAYS)
def test_a_span(how: str) -> None:
    token = jwt()
    exporter = InMemorySpanExporter()
    provider = tracing(how, exporter)
    tracer = provider.get_tracer("orders", "1.0")
    other = tracer.start_span("other")
    link = trace.Link(other.get_span_context(), {"presented": token})
    span = tracer.start_span(f"GET /reset/{token}", links=[link], kind=trace.SpanKind.SERVER)
    span.set_attribute("url.query", f"access_token={token}&page=2")
    span.set_attribute("http.request.header.authorization", [f"Bearer {token}"])
    span.set_attribute("n", 7)
    span.add_event(f"got {token}", {"auth": token})
    span.add_event("harmless", {"n": 7})
    try:
        fail(token)
    except ValueError as error:
        span.record_exception(error)
        span.set_status(trace.Status(trace.StatusCode.ERROR, f"cannot take {token}"))
    span.end()
    provider.force_flush()
    (got,) = exporter.get_finished_spans()
    mark = f"[token {ring().token_id(token)}]"
    assert got.name == f"GET /reset/{mark}"
    assert got.attributes is not None
    assert got.attributes["url.query"] == f"access_token={mark}&page=2"
    assert got.attributes["http.request.header.authorization"] == (f"Bearer {mark}",)
    assert got.attributes["n"] == 7
    assert got.kind is trace.SpanKind.SERVER
    assert got.status.status_code is trace.StatusCode.ERROR
    assert got.status.description == f"cannot take {mark}"
    assert [event.name for event in got.events] == [f"got {mark}", "harmless", "exception"]
    assert got.events[2].attributes is not None
    assert "Traceback" in str(got.events[2].attributes["exception.stacktrace"])
    assert got.links[0].context == other.get_span_context()
    assert got.context == span.get_span_context()
    assert got.instrumentation_scope is not None
    assert got.instrumentation_scope.name == "orders"
    assert got.resource is RESOURCE or got.resource.attributes["service.name"] == "orders"
    assert (got.start_time, got.end_time) == (span.start_time, span.end_time)  # type: ignore[attr-defined]
    assert not leaked(token, got.to_json())
    provider.shutdown()


def test_an_opaque_token_is_known_while_its_request_lasts(token: str) -> None:
    """A batch is exported later: so the processor redacts, and not the exporter."""
    exporter = InMemorySpanExporter()
    provider = tracing("batch", exporter)
    held = opaque()
    ticket = live.add(held)
    with provider.get_tracer("x").start_as_current_span(f"GET /reset/{held}"):
        pass
    live.discard(ticket)
    provider.force_flush()
    (got,) = exporter.get_finished_spans()
    assert got.name == f"GET /reset/[token {ring().token_id(held)}]"
    provider.shutdown()


def test_what_the_application_has_set_is_never_changed(token: str) -> None:
    seen: list[Any] = []

    class Seeing(SpanProcessor):
        """Another processor, of the project's own."""

        def on_end(self, span: Any) -> None:
            seen.append(span)

    exporter = InMemorySpanExporter()
    provider = tracing("simple", exporter)
    provider.add_span_processor(Seeing())
    given = {"auth": token, "list": [token]}
    with provider.get_tracer("x").start_as_current_span(f"a {token}", attributes=given) as span:
        span.add_event("e", given)
    assert given == {"auth": token, "list": [token]}
    assert seen[0].name == f"a {token}"
    assert seen[0].attributes["auth"] == token
    assert not leaked(token, exporter.get_finished_spans()[0].to_json())


def test_a_clean_span_is_passed_on_as_it_is() -> None:
    passed: list[Any] = []

    class Passed(SpanProcessor):
        """What comes out."""

        def on_end(self, span: Any) -> None:
            passed.append(span)

    span = TracerProvider().get_tracer("x").start_span("a", attributes={"n": 7, "list": ["x"]})
    span.add_event("e", {"n": 7})
    span.end()
    finished = span._readable_span()  # type: ignore[attr-defined]
    RedactingSpanProcessor(Passed()).on_end(finished)
    assert passed[0] is finished


def test_a_resource_that_quotes_a_command_line(token: str) -> None:
    exporter = InMemorySpanExporter()
    provider = tracing("simple", exporter, Resource({"process.command_line": f"serve --token {token}", "n": 7}))
    for name in ("one", "two"):
        provider.get_tracer("x").start_span(name).end()
    one, two = exporter.get_finished_spans()
    assert one.resource is two.resource
    assert one.resource.attributes["n"] == 7
    assert not leaked(token, one.to_json())


@pytest.mark.usefixtures("swallowing")
def test_a_span_fails_closed(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("the engine is broken")

    exporter = InMemorySpanExporter()
    monkeypatch.setattr("bearerwatch.redact.opentelemetry.redact_text", broken)
    span = tracing("simple", exporter).get_tracer("x").start_span(token, attributes={"auth": token})
    span.end()
    (got,) = exporter.get_finished_spans()
    assert (got.name, dict(got.attributes or {})) == (PLACEHOLDER, {})
    assert got.context == span.get_span_context()
    assert _guard.counts() == {"redaction of a span": 1}


# -- logs ----------------------------------------------------------------------------------------------


@pytest.fixture(params=WAYS)
def records(request: pytest.FixtureRequest) -> Iterator[tuple[LoggerProvider, InMemoryLogRecordExporter]]:
    exporter = InMemoryLogRecordExporter()
    processors: dict[str, Any] = {
        "simple": lambda: RedactingLogRecordProcessor(SimpleLogRecordProcessor(exporter)),
        "batch": lambda: RedactingLogRecordProcessor(BatchLogRecordProcessor(exporter)),
        "exporter": lambda: SimpleLogRecordProcessor(RedactingLogRecordExporter(exporter)),  # type: ignore[arg-type]
        "batch-exporter": lambda: BatchLogRecordProcessor(RedactingLogRecordExporter(exporter)),  # type: ignore[arg-type]
    }
    provider = LoggerProvider(resource=Resource({"service.name": "orders", "command": f"--token={opaque()}1"}))
    provider.add_log_record_processor(processors[request.param]())
    yield provider, exporter
    provider.shutdown()


def test_a_log_record(records: tuple[LoggerProvider, InMemoryLogRecordExporter]) -> None:
    provider, exporter = records
    token = jwt()
    body = {"event": "login", "token": token, "n": 7, "deep": [{"auth": f"Bearer {token}"}]}
    attributes = {"auth": token, "n": 7, "deep": {"list": [token]}}
    record = LogRecord(
        body=body,
        attributes=attributes,
        event_name=f"login.{token}",
        severity_number=SeverityNumber.WARN,
        exception=ValueError(token),
    )
    provider.get_logger("x").emit(record)
    provider.get_logger("x").emit(LogRecord(body="harmless", attributes={"n": 7}))
    kept = LogRecord(body=f"got {token}", attributes={"auth": token})
    provider.get_logger("x").emit(kept)
    provider.force_flush()
    got, harmless, _ = exporter.get_finished_logs()
    assert (kept.body, dict(kept.attributes or {})) == (f"got {token}", {"auth": token})
    mark = f"[token {ring().token_id(token)}]"
    assert got.log_record.body == {"event": "login", "token": mark, "n": 7, "deep": [{"auth": f"Bearer {mark}"}]}
    assert got.log_record.attributes is not None
    assert got.log_record.attributes["n"] == 7
    assert got.log_record.attributes["exception.message"] == mark
    assert got.log_record.severity_number is SeverityNumber.WARN
    assert got.resource.attributes["service.name"] == "orders"
    assert got.resource.attributes["command"].startswith("--token=[token ")  # type: ignore[union-attr]
    assert harmless.log_record.body == "harmless"
    assert not leaked(token, got.to_json(), repr(vars(got.log_record)))
    assert record.body == {"event": "login", "token": token, "n": 7, "deep": [{"auth": f"Bearer {token}"}]}
    assert attributes == {"auth": token, "n": 7, "deep": {"list": [token]}}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_the_standard_library_sends_to_it(token: str) -> None:
    from opentelemetry.sdk._logs import LoggingHandler

    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider()
    provider.add_log_record_processor(RedactingLogRecordProcessor(SimpleLogRecordProcessor(exporter)))
    log = logging.Logger("to.opentelemetry")  # noqa: LOG001
    log.addHandler(LoggingHandler(logger_provider=provider))
    log.warning(f"got {token}", extra={"auth": token})
    try:
        fail(token)
    except ValueError:
        log.exception("failed")
    got = [record.to_json() for record in exporter.get_finished_logs()]
    assert "got [token " in json.loads(got[0])["body"]
    assert json.loads(got[1])["attributes"]["exception.type"] == "ValueError"
    assert not leaked(token, *got)


@pytest.mark.usefixtures("swallowing")
def test_a_log_record_fails_closed(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("the engine is broken")

    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider()
    provider.add_log_record_processor(RedactingLogRecordProcessor(SimpleLogRecordProcessor(exporter)))
    monkeypatch.setattr("bearerwatch.redact.opentelemetry.redact_value", broken)
    provider.get_logger("x").emit(LogRecord(body=token, attributes={"auth": token}))
    (got,) = exporter.get_finished_logs()
    assert (got.log_record.body, dict(got.log_record.attributes or {})) == (PLACEHOLDER, {})
    assert _guard.counts() == {"redaction of an OpenTelemetry log record": 1}
