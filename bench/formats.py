"""Microseconds it takes to write one event in another format, and to hand one to a sink that has a thread."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from statistics import median

import msgspec

from bearerwatch.event import AuthEvent, Kind, Outcome
from bearerwatch.formats import encoder
from bench._rows import Measured, Row

_FORMATS = ("ecs", "ndjson", "ocsf", "otlp", "syslog")
IDS = (*(f"formats.{name}" for name in _FORMATS), "formats.sink")
METHOD = """\
One event of a request let in with a JWT, behind a proxy, with its place and its trace: 32 fields. What writes it in
each format takes turns with `json.dumps` of the same fields as a flat dict, 500 at a time; the figure is the thread's
processor time, the median of the quietest quarter of the turns. `formats.sink` is what `send` of the sinks `otlp` and
`syslog` costs the request, while a thread delivers to a receiver that takes everything; its peer is OpenTelemetry's
own `Logger.emit` of the same attributes with a `BatchLogRecordProcessor`."""

_LIMIT = 10.0
_TURN = 500
_EVENT = AuthEvent(
    kind=Kind.AUTH,
    event_id="0190b6a0-0000-7000-8000-000000000001",
    ts=datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC),
    outcome=Outcome.SUCCESS,
    verified=True,
    status=200,
    duration_us=12_345,
    service="orders",
    instance="web-1-4711",
    method="POST",
    route="/orders/{id}",
    path="/orders/7",
    token_id=f"k00000000:{1:032x}",
    presented_id=f"k00000000:{3:032x}",
    scheme="bearer",
    token_kind="jwt",
    token_source="header",
    subject_id=f"sub:k00000000:{4:032x}",
    client_id="spa",
    issuer="https://id.example.com/",
    scopes="orders:read orders:list",
    expires_at=1_767_323_045,
    client_ip="203.0.113.7",
    peer_ip="10.0.0.3",
    user_agent="Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0.0.0",
    country="NL",
    lat=52.09,
    lon=5.12,
    asn=64_500,
    request_id="0190b6a0-0000-7000-8000-000000000001",
    trace_id=f"{5:032x}",
    span_id=f"{6:016x}",
)


def run(ids: list[str], *, quick: bool) -> Iterator[Measured]:
    """Measure the formats named by *ids*, and what a sink costs."""
    turns = 40 if quick else 400
    flat = msgspec.to_builtins(_EVENT)
    for name in ids:
        if name == "formats.sink":
            yield _sink(turns)
            continue
        encode = encoder(name.partition(".")[2])
        ours, plain = _quiet(turns, lambda encode=encode: encode(_EVENT), lambda: json.dumps(flat))
        row = Row(id=name, unit="µs", ours=round(ours, 2), peers={"json.dumps": round(plain, 2)}, limit=_LIMIT)
        yield Measured(row=row, how=f"{turns} turns of {_TURN}; a record of {len(encode(_EVENT))} bytes")


def _quiet(turns: int, *works: Callable[[], object], after: Callable[[], object] = bool) -> list[float]:
    """Microseconds each of *works* takes, in turns; *after* each turn something is done that does not count."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(turns):
        for work, taken in zip(works, times, strict=True):
            began = time.thread_time()
            for _ in range(_TURN):
                work()
            taken.append((time.thread_time() - began) / _TURN * 1e6)
            after()
    return [median(sorted(taken)[: max(len(taken) // 4, 1)]) for taken in times]


def _sink(turns: int) -> Measured:
    from opentelemetry.sdk._logs import LoggerProvider  # noqa: PLC0415 - not needed for the others
    from opentelemetry.sdk._logs.export import (  # noqa: PLC0415
        BatchLogRecordProcessor,
        LogRecordExporter,
        LogRecordExportResult,
    )

    from bearerwatch.formats.otlp import attributes  # noqa: PLC0415
    from bearerwatch.sinks._courier import Courier  # noqa: PLC0415

    class Nowhere(LogRecordExporter):
        def export(self, batch):
            return LogRecordExportResult.SUCCESS

        def shutdown(self):
            """Nothing to let go of."""

        def force_flush(self, timeout_millis=0):
            return True

    provider = LoggerProvider()
    provider.add_log_record_processor(BatchLogRecordProcessor(Nowhere()))
    logger = provider.get_logger("bench")
    courier = Courier("bench", lambda events: events.clear() or 0)
    told = attributes(_EVENT)
    ours, theirs = _quiet(
        turns,
        lambda: courier.send(_EVENT),
        lambda: logger.emit(timestamp=1, body="x", attributes=told, event_name="bearerwatch.auth.decision"),
        after=lambda: (courier.close(), provider.force_flush()),
    )
    courier.close()
    provider.shutdown()
    row = Row(
        id="formats.sink", unit="µs", ours=round(ours, 2), peers={"OpenTelemetry": round(theirs, 2)}, limit=_LIMIT
    )
    return Measured(row=row, how=f"{turns} turns of {_TURN}")
