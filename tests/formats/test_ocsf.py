"""OCSF 1.8.0: every record is what the published schema of its class says."""

from __future__ import annotations

import json
from functools import cache
from itertools import pairwise
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from bearerwatch.event import AuthEvent, Kind, Outcome
from bearerwatch.formats.ocsf import VERSION, encode, to_ocsf
from events_made import EVENTS, FULL, full

CLASSES = {3002: "authentication", 2004: "detection_finding", 0: "base_event"}


@cache
def validator(class_uid: int) -> Any:
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=VERSION)).get_class_schema(CLASSES[class_uid], [])
    return jsonschema_rs.validator_for(schema)


def check(event: AuthEvent) -> dict[str, Any]:
    record = json.loads(encode(event))
    errors = [f"{error.instance_path}: {error.message}" for error in validator(record["class_uid"]).iter_errors(record)]
    assert errors == []
    assert record["type_uid"] == record["class_uid"] * 100 + record["activity_id"]
    return record


@settings(max_examples=150)
@given(EVENTS)
def test_whatever_an_event_holds_its_record_is_valid(event: AuthEvent) -> None:
    record = check(event)
    assert record["metadata"]["uid"] == event.event_id


@pytest.mark.parametrize("outcome", [*Outcome, None])
@pytest.mark.parametrize("kind", Kind)
def test_every_outcome_with_and_without_each_field(kind: Kind, outcome: Outcome | None) -> None:
    optional = [name for name in FULL if name not in ("kind", "event_id", "ts", "outcome", "verified", "count")]
    check(full(kind=kind, outcome=outcome))
    check(full(kind=kind, outcome=outcome, **dict.fromkeys(optional)))
    for first, second in pairwise(optional):
        assert check(full(kind=kind, outcome=outcome, **dict.fromkeys((first, second))))


def test_the_schema_would_have_said_so() -> None:
    wrong = to_ocsf(full()) | {"reason": "bad_signature"}
    assert not validator(3002).is_valid(wrong)
    for needed in ("user", "metadata", "severity_id"):
        assert not validator(3002).is_valid({name: value for name, value in to_ocsf(full()).items() if name != needed})


@pytest.mark.parametrize(
    ("outcome", "status_id", "severity_id", "code"),
    [
        ("success", 1, 1, None),
        ("anonymous", 99, 1, None),
        ("missing", 2, 2, None),
        ("malformed", 2, 2, "invalid_request"),
        ("invalid", 2, 3, "invalid_token"),
        ("expired", 2, 2, "invalid_token"),
        ("revoked", 2, 3, "invalid_token"),
        ("insufficient_scope", 2, 2, "insufficient_scope"),
        ("forbidden", 2, 2, None),
        ("throttled", 2, 2, None),
        ("error", 2, 3, None),
    ],
)
def test_what_each_outcome_is(outcome: str, status_id: int, severity_id: int, code: str | None) -> None:
    record = to_ocsf(full(outcome=Outcome(outcome)))
    assert (record["status_id"], record["severity_id"], record.get("status_code")) == (status_id, severity_id, code)
    assert (record["status_detail"], record["activity_id"], record["type_uid"]) == (outcome, 99, 300299)


def test_a_request_without_a_token_has_an_unknown_user() -> None:
    record = to_ocsf(AuthEvent(Kind.AUTH, FULL["event_id"], FULL["ts"], outcome=Outcome.MISSING))
    assert record["user"] == {"name": "unknown"}
    assert "session" not in record
    assert "observables" not in record


def test_a_proxy_is_told_from_the_caller() -> None:
    both = to_ocsf(full())["src_endpoint"]
    assert (both["ip"], both["proxy_endpoint"]) == ("203.0.113.7", {"ip": "10.0.0.3"})
    direct = to_ocsf(full(peer_ip="203.0.113.7"))["src_endpoint"]
    assert "proxy_endpoint" not in direct


def test_a_leak_is_a_finding_that_names_the_line_of_code() -> None:
    record = check(full(kind=Kind.LEAK, outcome=None, reason="jwt", detail="app.py:7 root", count=3))
    assert (record["class_uid"], record["type_uid"], record["count"]) == (2004, 200401, 3)
    assert "app.py:7 root" in record["finding_info"]["desc"]
    assert record["unmapped"]["token_id"] == FULL["token_id"]


def test_nothing_of_a_leak_is_lost() -> None:
    record = check(full(kind=Kind.LEAK, outcome=None))
    told = json.dumps(record, ensure_ascii=False)
    for name, value in FULL.items():
        if name not in ("kind", "ts", "outcome", "count", "verified"):
            assert json.dumps(value, ensure_ascii=False).strip('"') in told, name
