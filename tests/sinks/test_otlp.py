"""The sink ``otlp``, to an endpoint that is really there, read with OpenTelemetry's own messages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

import fakes
from bearerwatch.settings import Settings
from bearerwatch.sinks import _courier, open_sinks
from bearerwatch.sinks.otlp import OtlpSink
from bearerwatch.testing.events import make_event
from events_made import FULL, full
from otlp_read import attributes
from receivers import Answer, HttpReceiver, http_receiver


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpReceiver]:
    monkeypatch.setattr(_courier, "_LINGER", 0.01)
    with http_receiver() as opened:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", opened.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")
        yield opened


@pytest.fixture
def sink(receiver: HttpReceiver) -> Iterator[OtlpSink]:
    (opened,) = open_sinks(Settings(sinks=("otlp",)))
    assert isinstance(opened, OtlpSink)
    yield opened
    opened.close()


def resources(receiver: HttpReceiver) -> list[Any]:
    return [one for asked in receiver.asked for one in ExportLogsServiceRequest.FromString(asked.body).resource_logs]


def records(receiver: HttpReceiver) -> list[Any]:
    return [record for one in resources(receiver) for record in one.scope_logs[0].log_records]


def test_an_event_arrives_whole(sink: OtlpSink, receiver: HttpReceiver) -> None:
    sink.send(full())
    sink.close()
    (asked,) = receiver.wait(1)
    assert (asked.path, asked.headers["content-type"]) == ("/v1/logs", "application/x-protobuf")
    (resource,) = resources(receiver)
    named = attributes(resource.resource)
    assert (named["service.name"], named["service.instance.id"]) == ("orders", "web-1-4711")
    (record,) = records(receiver)
    assert record.event_name == "bearerwatch.auth.decision"
    assert (record.trace_id.hex(), record.span_id.hex()) == (FULL["trace_id"], FULL["span_id"])
    assert record.time_unix_nano == 1_767_323_045_678_901_000
    assert (record.severity_number, record.severity_text) == (13, "WARN")
    found = attributes(record)
    assert found["bearerwatch.auth.outcome"] == "invalid"
    assert found["bearerwatch.auth.token_id"] == FULL["token_id"]
    assert found["http.response.status_code"] == 401
    assert sink.dropped == 0


def test_hostile_values_cost_no_batch(sink: OtlpSink, receiver: HttpReceiver) -> None:
    sink.send(make_event(user_agent="\ud800\x00\n", path="/\udfff", trace_id="none", expires_at=10**30))
    sink.send(make_event(lat=float("nan"), lon=float("inf")))
    sink.close()
    first, second = records(receiver)
    assert attributes(first)["user_agent.original"] == "?\x00\n"
    assert attributes(first)["bearerwatch.auth.trace_id"] == "none"
    assert attributes(first)["bearerwatch.auth.expires_at"] == str(10**30)
    assert first.trace_id == b""
    assert attributes(second)["geo.location.lon"] == float("inf")


def test_what_the_endpoint_refuses_is_counted_and_said(sink: OtlpSink, receiver: HttpReceiver, capfd: Any) -> None:
    receiver.answers = [Answer(400)]
    sink.send(make_event())
    sink.close()
    assert sink.dropped == 1
    assert "the sink otlp lost events, 1 so far (its receiver does not take them)" in capfd.readouterr().err


def test_an_endpoint_that_is_busy_is_asked_again(sink: OtlpSink, receiver: HttpReceiver) -> None:
    receiver.answers = [Answer(503, {"retry-after": "0"})]
    sink.send(make_event())
    sink.close()
    assert len(receiver.asked) == 2
    assert sink.dropped == 0


PROVIDED = """
import sys
from opentelemetry._logs import set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from bearerwatch.settings import Settings
from bearerwatch.sinks import open_sinks
from bearerwatch.testing.events import make_event
(sink,) = open_sinks(Settings(sinks=("otlp",)))
kept = InMemoryLogRecordExporter()
provider = LoggerProvider(Resource({"service.name": "theirs"}))
provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
set_logger_provider(provider)
sink.send(make_event(trace_id="0" * 31 + "5", path="/\\ud800"))
sink.close()
(record,) = kept.get_finished_logs()
told = record.log_record
print(record.resource.attributes["service.name"], told.event_name, told.attributes["service.name"], told.trace_id)
"""


def run(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=30, check=False
    )


def test_a_provider_the_application_has_set_is_used(tmp_path: Path) -> None:
    done = run(PROVIDED, BEARERWATCH_STATE=str(tmp_path), OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
    assert (done.stderr, done.stdout) == ("", "theirs bearerwatch.auth.decision app 5\n")


ENDING = """
import os, sys
from bearerwatch.settings import Settings
from bearerwatch.sinks import open_sinks
from bearerwatch.testing.events import make_event
(sink,) = open_sinks(Settings(sinks=("otlp",)))
sink.send(make_event(path="/parent", instance="parent"))
if os.fork() == 0:
    sink.send(make_event(path="/child", instance="child"))
    sys.exit()
os.wait()
"""


def test_parent_and_child_deliver_each_its_own_before_they_end(receiver: HttpReceiver, tmp_path: Path) -> None:
    done = run(ENDING, BEARERWATCH_STATE=str(tmp_path), OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    assert (done.returncode, done.stderr) == (0, "")
    paths = {
        attributes(one.resource)["service.instance.id"]: one.scope_logs[0].log_records for one in resources(receiver)
    }
    assert {name: [attributes(record)["url.path"] for record in found] for name, found in paths.items()} == {
        "parent": ["/parent"],
        "child": ["/child"],
    }


def test_nobody_there_does_not_keep_a_process_from_ending(tmp_path: Path) -> None:
    code = ENDING.partition("if os.fork")[0]
    url = f"http://127.0.0.1:{fakes.free_port()}"
    done = run(code, BEARERWATCH_STATE=str(tmp_path), OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_EXPORTER_OTLP_TIMEOUT="1")
    assert done.returncode == 0
    assert "the sink otlp lost events, 1 so far" in done.stderr


def test_without_the_library_it_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['opentelemetry.sdk'] = None\n"
        "from bearerwatch.settings import Settings; from bearerwatch.sinks import open_sinks\n"
        "open_sinks(Settings(sinks=('otlp',)))"
    )
    done = run(code, BEARERWATCH_STATE=str(tmp_path))
    assert done.stderr.splitlines()[-1].endswith("pip install 'bearerwatch[otlp]'")
