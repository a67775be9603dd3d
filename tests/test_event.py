"""The event: its vocabulary and its wire format."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import msgspec
import pytest

from bearerwatch.event import FAILURES, REASONS, SCHEMA_VERSION, AuthEvent, Kind, Outcome
from bearerwatch.testing.events import make_event

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def test_the_outcomes_are_the_closed_set() -> None:
    assert {outcome.value for outcome in Outcome} == {
        "success",
        "anonymous",
        "missing",
        "malformed",
        "invalid",
        "expired",
        "revoked",
        "insufficient_scope",
        "forbidden",
        "throttled",
        "error",
    }
    assert {kind.value for kind in Kind} == {"auth", "leak", "heartbeat", "audit"}


def test_what_is_let_in_is_no_failure() -> None:
    assert set(Outcome) - FAILURES == {Outcome.SUCCESS, Outcome.ANONYMOUS}


def test_reasons_are_snake_case_and_explained() -> None:
    for reason, meaning in REASONS.items():
        assert re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", reason)
        assert meaning.endswith(".")


def test_the_line_says_the_version_first_and_leaves_out_what_is_not_known() -> None:
    event = AuthEvent(kind=Kind.AUTH, event_id="0198c0de-0000-7000-8000-000000000001", ts=NOON, outcome=Outcome.SUCCESS)
    assert msgspec.json.encode(event) == (
        b'{"schema_version":1,"kind":"auth","event_id":"0198c0de-0000-7000-8000-000000000001",'
        b'"ts":"2026-03-01T12:00:00.123456Z","outcome":"success"}'
    )
    assert event.schema_version == SCHEMA_VERSION == 1


def test_an_event_decodes_to_itself() -> None:
    event = make_event(ts=NOON, verified=True, lat=1.5, asn=64500, count=3, expires_at=2**40)
    line = msgspec.json.encode(event)
    assert msgspec.json.decode(line, type=AuthEvent) == event
    assert json.loads(line)["count"] == 3


def test_another_version_is_not_taken_for_this_one() -> None:
    line = msgspec.json.encode(make_event()).replace(b'"schema_version":1', b'"schema_version":2')
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(line, type=AuthEvent)


def test_a_field_of_a_later_release_is_passed_over() -> None:
    event = make_event()
    line = msgspec.json.encode(event)[:-1] + b',"invented_later":{"a":1}}'
    assert msgspec.json.decode(line, type=AuthEvent) == event


def test_an_event_does_not_change() -> None:
    with pytest.raises(AttributeError):
        make_event().outcome = Outcome.ERROR  # type: ignore[misc]


def test_make_event_knows_its_fields() -> None:
    with pytest.raises(TypeError):
        make_event(outcom="success")
