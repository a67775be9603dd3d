"""OTLP's JSON: what opentelemetry-proto's own messages read back is what the event says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from bearerwatch.event import AuthEvent, Kind, Outcome
from bearerwatch.formats._json import without_surrogates
from bearerwatch.formats.otlp import MAPPING, encode, request, severity
from bearerwatch.formats.otlp import attributes as otlp_attributes
from events_made import EVENTS, FULL, full
from otlp_read import attributes, from_json


def test_a_request_is_read_back_by_its_own_messages() -> None:
    (resource,) = from_json(request([full()])).resource_logs
    assert attributes(resource.resource) == {"service.name": "orders", "service.instance.id": "web-1-4711"}
    (scope,) = resource.scope_logs
    (record,) = scope.log_records
    assert (scope.scope.name, record.event_name) == ("bearerwatch", "bearerwatch.auth.decision")
    assert record.trace_id.hex() == FULL["trace_id"]
    assert record.span_id.hex() == FULL["span_id"]
    assert record.time_unix_nano == 1_767_323_045_678_901_000
    assert (record.severity_number, record.severity_text) == (13, "WARN")
    found = attributes(record)
    for name, place in MAPPING.items():
        for key in place.split(" or ")[-1].split(" and ")[:1]:
            if key in found:
                assert found[key] == FULL[name], name
    missing = {
        name for name, place in MAPPING.items() if not set(place.replace(" and ", " or ").split(" or ")) & set(found)
    }
    assert missing == {"kind", "ts", "service", "instance", "trace_id", "span_id"}


@settings(max_examples=80)
@given(EVENTS)
def test_hostile_events_stay_one_record_each(event: AuthEvent) -> None:
    read = from_json(encode(event))
    (record,) = read.resource_logs[0].scope_logs[0].log_records
    found = attributes(record)
    clean = without_surrogates(event)
    assert found.get("user_agent.original") == clean.user_agent
    assert found.get("url.path") == clean.path
    traced = record.trace_id.hex() or found.get("bearerwatch.auth.trace_id")
    assert traced == clean.trace_id or (clean.trace_id == "" and traced is None)
    assert len(record.trace_id) in (0, 16)
    assert len(record.span_id) in (0, 8)
    same = {key: str(value) if value != value else value for key, value in otlp_attributes(clean).items()}
    assert {key: str(value) if value != value else value for key, value in found.items()} == same


def test_events_of_one_process_share_a_resource() -> None:
    read = from_json(request([full(), full(instance="web-2-1"), full()]))
    assert [len(one.scope_logs[0].log_records) for one in read.resource_logs] == [2, 1]


@pytest.mark.parametrize(
    ("outcome", "said"), [("success", "INFO"), ("anonymous", "INFO"), ("invalid", "WARN"), ("error", "ERROR")]
)
def test_severities(outcome: str, said: str) -> None:
    assert severity(full(outcome=Outcome(outcome)))[1] == said
    assert severity(full(kind=Kind.LEAK, outcome=None))[1] == "WARN"


def test_an_id_that_is_none_is_an_attribute() -> None:
    for wrong in ("0" * 32, "a" * 31, "G" * 32, "A" * 32):
        document: Any = json.loads(encode(full(trace_id=wrong)))
        record = document["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
        assert "traceId" not in record
        assert {"key": "bearerwatch.auth.trace_id", "value": {"stringValue": wrong}} in record["attributes"]


def test_an_unusual_method_is_other() -> None:
    found = attributes(from_json(encode(full(method="BREW"))).resource_logs[0].scope_logs[0].log_records[0])
    assert (found["http.request.method"], found["http.request.method_original"]) == ("_OTHER", "BREW")


def test_unknown_fields_would_be_noticed() -> None:
    with pytest.raises(json_format.ParseError):
        json_format.Parse('{"resourceLogz": []}', ExportLogsServiceRequest())
