"""OpenTelemetry, its real SDK and instrumentations: one trace for spans, events, lines and what is asked of others.

Each stands outside of the middleware and inside of it.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import flask
import pytest
from fastapi import FastAPI
from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware as OtelAsgi
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware as OtelWsgi
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs import export as otel_export
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bearerwatch import _guard, _trace
from bearerwatch.asgi import BearerwatchMiddleware
from bearerwatch.context import RequestContext, current, onward
from bearerwatch.correlate.opentelemetry import OpenTelemetry
from bearerwatch.correlate.spans import RequestSpans
from bearerwatch.event import AuthEvent
from bearerwatch.flask import Bearerwatch
from bearerwatch.testing.events import capture_events
from desk import Desk, facts
from fakes import leaked, opaque
from logged import Keeper
from watched import django_stack
from watched.drive import Request, Seen, serve_asgi, serve_wsgi

django_stack.configure()

from django.http import HttpResponse  # noqa: E402
from django.test import override_settings  # noqa: E402
from django.urls import path  # noqa: E402
from opentelemetry.instrumentation.django import DjangoInstrumentor  # noqa: E402

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
OTEL_DJANGO = "opentelemetry.instrumentation.django.middleware.otel_middleware._DjangoMiddleware"
log = logging.getLogger("tests.correlate.work")


class Told:
    """What a view was told and has told others, and the spans that were exported."""

    def __init__(self, provider: TracerProvider, exporter: InMemorySpanExporter) -> None:
        self.provider = provider
        self.exporter = exporter
        self.tracer = provider.get_tracer("tests")
        self.onward: dict[str, str] = {}
        self.keeper = Keeper()

    def work(self) -> None:
        """A view's: a line amid a span of its own, where another service is asked too; and a line outside of it."""
        log.info("served")
        with self.tracer.start_as_current_span("child"):
            log.info("in a span")
            self.onward = onward()

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        """The server's, and the view's."""
        found = self.exporter.get_finished_spans()
        return {("server" if span.kind == SpanKind.SERVER else span.name): span for span in found}

    def lines(self) -> list[tuple[Any, Any]]:
        records: list[Any] = self.keeper.records
        return [(record.trace_id, record.span_id) for record in records if record.name == log.name]


def provided(sampler: Any = ALWAYS_ON) -> Told:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.add_span_processor(RequestSpans())
    return Told(provider, exporter)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """As once the application has imported OpenTelemetry."""
    monkeypatch.setattr(_trace, "tracer", OpenTelemetry())
    monkeypatch.setenv("BEARERWATCH_KEYS", "a-fingerprint-key-for-tests-alone")
    made = provided()
    log.addHandler(made.keeper)
    log.setLevel(logging.INFO)
    yield made
    log.removeHandler(made.keeper)
    made.provider.shutdown()


def ids(span: Any) -> tuple[str, str]:
    known = span.get_span_context()
    return f"{known.trace_id:032x}", f"{known.span_id:016x}"


def header(span: Any) -> str:
    """What OpenTelemetry itself says of *span* to another service."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier, trace.set_span_in_context(NonRecordingSpan(span.get_span_context())))
    return carrier["traceparent"]


Serve = Callable[[Request, list[AuthEvent]], Seen]


def on_flask(told: Told, order: str, **settings: Any) -> Serve:
    app = flask.Flask(__name__)

    @app.get("/work")
    def work() -> str:
        told.work()
        return "done"

    def theirs() -> None:
        app.wsgi_app = OtelWsgi(app.wsgi_app, tracer_provider=told.provider)  # type: ignore[method-assign]

    if order == "inside":
        theirs()
    Bearerwatch(app, **settings)
    if order == "outside":
        theirs()
    return lambda request, events: serve_wsgi(app, request, events)


def on_starlette(told: Told, order: str, **settings: Any) -> Serve:
    async def work(_request: Any) -> PlainTextResponse:
        told.work()
        return PlainTextResponse("done")

    app: Any = Starlette(routes=[Route("/work", work)])
    if order == "inside":
        app = BearerwatchMiddleware(OtelAsgi(app, tracer_provider=told.provider), **settings)
    else:
        app = OtelAsgi(BearerwatchMiddleware(app, **settings), tracer_provider=told.provider)
    return lambda request, events: serve_asgi(app, request, events)


def on_fastapi(told: Told, order: str, **settings: Any) -> Serve:
    """By ``add_middleware``, of which the last is the outermost."""
    app = FastAPI()

    @app.get("/work")
    def work() -> str:
        told.work()
        return "done"

    middleware: list[tuple[Any, dict[str, Any]]] = [
        (BearerwatchMiddleware, settings),
        (OtelAsgi, {"tracer_provider": told.provider}),
    ]
    for kind, arguments in middleware if order == "outside" else middleware[::-1]:
        app.add_middleware(kind, **arguments)
    return lambda request, events: serve_asgi(app, request, events)


def on_django(told: Told, order: str, **settings: Any) -> Serve:
    def work(_request: Any) -> HttpResponse:
        told.work()
        return HttpResponse("done")

    return django_served(told, order, (path("work", work),), django_stack.wsgi, serve_wsgi, settings)


def on_django_async(told: Told, order: str, **settings: Any) -> Serve:
    async def work(_request: Any) -> HttpResponse:
        told.work()
        return HttpResponse("done")

    return django_served(told, order, (path("work", work),), django_stack.asgi, serve_asgi, settings)


def django_served(
    told: Told, order: str, urls: tuple[Any, ...], build: Callable[..., Any], drive: Callable[..., Seen], settings: Any
) -> Serve:
    def serve(request: Request, events: list[AuthEvent]) -> Seen:
        ours = ["bearerwatch.django.Middleware"]
        with override_settings(MIDDLEWARE=list(ours), ROOT_URLCONF=urls):
            instrumentor = DjangoInstrumentor()
            instrumentor.instrument(tracer_provider=told.provider)
            try:
                middleware = [*ours, OTEL_DJANGO] if order == "inside" else [OTEL_DJANGO, *ours]
                with override_settings(MIDDLEWARE=middleware):
                    return drive(build(**settings), request, events)
            finally:
                instrumentor.uninstrument()

    return serve


FRAMEWORKS = {
    "flask": on_flask,
    "starlette": on_starlette,
    "fastapi": on_fastapi,
    "django": on_django,
    "django_async": on_django_async,
}
ORDERS = ("outside", "inside")


@pytest.fixture(params=[f"{framework}-{order}" for framework in FRAMEWORKS for order in ORDERS])
def serve(request: pytest.FixtureRequest, told: Told) -> Serve:
    framework, order = request.param.split("-")
    return FRAMEWORKS[framework](told, order)


def test_event_lines_and_calls_are_of_the_servers_trace(told: Told, serve: Serve) -> None:
    with capture_events() as events:
        seen = serve(Request("/work"), events)
    assert (seen.status, len(events)) == (200, 1)
    server, child, event = told.spans["server"], told.spans["child"], events[0]
    assert (event.trace_id, event.span_id) == ids(server)
    assert told.lines() == [ids(server), ids(child)]
    assert told.onward["traceparent"] == header(child)
    assert seen.headers["x-request-id"] == event.request_id == told.onward["X-Request-ID"]


def test_the_servers_span_says_whose_token_it_was_and_never_the_token(told: Told, serve: Serve) -> None:
    token = opaque()
    with capture_events() as events:
        serve(Request("/work", headers=[("Authorization", f"Bearer {token}")]), events)
    server, event = told.spans["server"], events[0]
    attributes = dict(server.attributes or {})
    assert attributes["bearerwatch.request_id"] == event.request_id
    assert attributes["bearerwatch.auth.token_id"] == event.token_id is not None
    assert not leaked(token, *(str(span.to_json()) for span in told.spans.values()))
    assert "bearerwatch.auth.token_id" not in (told.spans["child"].attributes or {})


@pytest.mark.parametrize(
    ("framework", "order"),
    [
        ("flask", "outside"),
        ("flask", "inside"),
        ("starlette", "outside"),
        ("starlette", "inside"),
        ("fastapi", "outside"),
        ("fastapi", "inside"),
        ("django", "outside"),
        ("django_async", "outside"),
    ],
)
def test_the_servers_span_says_what_became_of_it(told: Told, framework: str, order: str) -> None:
    """Not where Django's ends before ours hears of the answer."""
    with capture_events() as events:
        FRAMEWORKS[framework](told, order)(Request("/nowhere", headers=[("Authorization", "Bearer a b")]), events)
    attributes = dict(told.spans["server"].attributes or {})
    assert attributes["bearerwatch.auth.outcome"] == events[0].outcome
    assert attributes["bearerwatch.auth.reason"] == events[0].reason is not None
    assert attributes["bearerwatch.auth.verified"] is False
    assert attributes["bearerwatch.auth.scheme"] == "bearer"


@pytest.mark.parametrize(("plain", "name"), [(False, "enduser.pseudo.id"), (True, "enduser.id")])
def test_a_subject_is_a_pseudonym_unless_configured_otherwise(told: Told, plain: bool, name: str) -> None:
    desk = Desk(plain_subjects=plain)
    with told.tracer.start_as_current_span("server", kind=SpanKind.SERVER):
        exchange = desk.watch.open(facts())
        exchange.context.decision = None
        from bearerwatch import decide

        decide("success", subject="alice")
        exchange.finish(200)
        exchange.end()
    attributes = dict(told.spans["server"].attributes or {})
    assert attributes[name] == desk.kept.events[0].subject_id
    assert ("alice" in attributes.values()) is plain
    assert {"enduser.id", "enduser.pseudo.id"} & {*attributes} == {name}


def test_a_trusted_callers_trace_is_one_with_the_servers(told: Told) -> None:
    with capture_events() as events:
        on_starlette(told, "outside", trusted_proxies="192.0.2.0/24")(
            Request("/work", headers=[("traceparent", f"00-{TRACE}-{SPAN}-01"), ("tracestate", "rojo=1")]), events
        )
    assert (events[0].trace_id, events[0].parent_request_id) == (TRACE, SPAN)
    assert told.onward["tracestate"] == "rojo=1"


def test_what_an_instrumentation_says_to_another_service_stands(told: Told) -> None:
    """Clients' instrumentations put their own span's traceparent there, before ours or after it."""
    with told.tracer.start_as_current_span("server"):
        exchange = Desk().watch.open(facts())
        with told.tracer.start_as_current_span("client", kind=SpanKind.CLIENT) as client:
            before: dict[str, str] = {}
            propagate.inject(before)
            for name, value in onward().items():
                before.setdefault(name, value)
            after = dict(onward())
            propagate.inject(after)
        exchange.finish(200)
        exchange.end()
    meant = header(client)
    assert before["traceparent"] == after["traceparent"] == meant
    assert before["X-Request-ID"] == after["X-Request-ID"]


def test_a_trace_that_is_not_sampled_has_ids_and_nothing_else(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = provided(ALWAYS_OFF)
    with capture_events() as events:
        on_flask(quiet, "outside")(Request("/work"), events)
    assert events[0].trace_id is not None
    assert quiet.onward["traceparent"].startswith(f"00-{events[0].trace_id}-")
    assert int(quiet.onward["traceparent"][-2:], 16) & TraceFlags.SAMPLED == 0
    assert not quiet.spans


def test_where_nothing_is_recorded_a_callers_span_is_nobodys(told: Told) -> None:
    """The interfaces without the SDK hand a caller's span through as if it were the process's own."""
    theirs = NonRecordingSpan(SpanContext(int(TRACE, 16), int(SPAN, 16), is_remote=True, trace_flags=TraceFlags(1)))
    token = otel_context.attach(trace.set_span_in_context(theirs))
    try:
        desk = Desk()
        exchange = desk.watch.open(facts())
        told_others = onward()
        exchange.finish(200)
        exchange.end()
    finally:
        otel_context.detach(token)
    assert TRACE not in told_others["traceparent"]
    assert desk.kept.events[0].trace_id != TRACE


def test_exported_lines_have_ids_and_trace(told: Told) -> None:
    name = "InMemoryLogRecordExporter"
    exporter = getattr(otel_export, name if hasattr(otel_export, name) else "InMemoryLogExporter")()  # its name of old
    logs = LoggerProvider()
    logs.add_log_record_processor(otel_export.SimpleLogRecordProcessor(exporter))
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # a newer one of its is elsewhere
        handler = LoggingHandler(logger_provider=logs)
    log.addHandler(handler)
    try:
        with capture_events() as events:
            on_starlette(told, "outside")(Request("/work"), events)
    finally:
        log.removeHandler(handler)
        logs.shutdown()
    record = exporter.get_finished_logs()[0].log_record
    assert record.attributes is not None
    assert record.attributes["request_id"] == events[0].request_id
    assert f"{record.trace_id:032x}" == record.attributes["trace_id"] == events[0].trace_id


def test_a_span_that_fails_costs_no_request_its_event(told: Told, swallowing: None) -> None:
    class Broken(NonRecordingSpan):
        def get_span_context(self) -> Any:
            raise RuntimeError

        def is_recording(self) -> bool:
            raise RuntimeError

    desk = Desk()
    token = otel_context.attach(trace.set_span_in_context(Broken(trace.INVALID_SPAN_CONTEXT)))
    try:
        exchange = desk.watch.open(facts())
        log.info("served")
        exchange.context.span = Broken(trace.INVALID_SPAN_CONTEXT)
        exchange.finish(200)
        exchange.end()
    finally:
        otel_context.detach(token)
    assert len(desk.kept.events) == 1
    assert _guard.counts()["reading a span"] >= 1
    assert _guard.counts()["telling a span"] == 1


def test_of_several_spans_the_first_without_a_parent_is_the_requests(told: Told) -> None:
    """As where the application makes its spans by hand."""
    context = RequestContext("r-of-this-test")
    reset = current.set(context)
    try:
        with told.tracer.start_as_current_span("first") as first, told.tracer.start_as_current_span("within"):
            pass
        with told.tracer.start_as_current_span("second"):
            pass
    finally:
        current.reset(reset)
    assert (context.trace_id, context.span_id) == ids(first)
    with told.tracer.start_as_current_span("outside"):
        pass


GLOBAL = """
import json, logging, sys
import flask
from bearerwatch.flask import Bearerwatch
from bearerwatch import _trace
from bearerwatch.testing.events import capture_events
from opentelemetry import trace
{imports}
exported = []
app = flask.Flask("shop")
logging.basicConfig(format="%(trace_id)s", stream=sys.stderr)

@app.get("/")
def index():
    logging.getLogger("shop").warning("served")
    return "done"

{wrap}
Bearerwatch(app)
{then}
with capture_events() as events:
    for _ in range(2):
        app.test_client().get("/")
print(json.dumps([[event.trace_id for event in events], exported, _trace.tracer is not None]))
"""
SDK = """
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
"""
WRAP = "app.wsgi_app = OpenTelemetryMiddleware(app.wsgi_app)"
PROVIDE = """
class Exporter(InMemorySpanExporter):
    def export(self, spans):
        exported.extend([f"{s.get_span_context().trace_id:032x}", s.attributes.get("bearerwatch.auth.outcome")] for s in spans)
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(Exporter()))
"""


def elsewhere(tmp_path: Any, **parts: str) -> tuple[Any, list[str]]:
    """What the application said in a process of its own, and its lines."""
    code = GLOBAL.format(**({"imports": "", "wrap": "", "then": ""} | parts))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"BEARERWATCH_STATE": str(tmp_path), "BEARERWATCH_KEYS": "a-key-of-this-test-alone-01"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr.splitlines()


def test_the_global_provider_needs_no_line_at_all(tmp_path: Any) -> None:
    """Its middleware inside of ours, and the provider set once everything stands."""
    (traces, exported, there), lines = elsewhere(tmp_path, imports=SDK, wrap=WRAP, then=PROVIDE)
    assert there
    assert exported == [[trace_id, "anonymous"] for trace_id in traces]
    assert lines == traces


def test_with_the_interfaces_alone_traces_are_our_own(tmp_path: Any) -> None:
    (traces, _, there), lines = elsewhere(tmp_path)
    assert there
    assert lines == traces
    assert len({*traces}) == 2


def test_without_it_nothing_of_it_is_loaded() -> None:
    code = (
        "import sys, flask, bearerwatch.flask; bearerwatch.flask.Bearerwatch(flask.Flask('x')); "
        "print([m for m in sys.modules if m.startswith(('opentelemetry', 'bearerwatch.correlate.open'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
