"""Elastic Common Schema: the fields Elasticsearch is strict about, and the words it allows."""

from __future__ import annotations

import ipaddress
import json

import pytest
from hypothesis import given

from bearerwatch.event import FAILURES, AuthEvent, Kind, Outcome
from bearerwatch.formats.ecs import encode, to_ecs
from events_made import EVENTS, full

CATEGORIES = {"api", "authentication"}
TYPES = {"info", "allowed", "denied"}  # those of both categories


@given(EVENTS)
def test_what_an_index_is_strict_about_has_its_type(event: AuthEvent) -> None:
    document = json.loads(encode(event))
    source = document.get("source", {})
    if "ip" in source:
        ipaddress.ip_address(source["ip"])
    if place := source.get("geo", {}).get("location"):
        assert -90 <= place["lat"] <= 90
        assert -180 <= place["lon"] <= 180
    assert document["@timestamp"].endswith("Z")
    about = document["event"]
    assert about["kind"] in {"event", "alert"}
    assert set(about.get("category", [])) <= CATEGORIES
    assert set(about.get("type", [])) <= TYPES
    assert about.get("outcome", "unknown") in {"success", "failure", "unknown"}


@pytest.mark.parametrize("outcome", Outcome)
def test_outcomes_in_elastics_words(outcome: Outcome) -> None:
    document = to_ecs(full(outcome=outcome))
    about = document["event"]
    assert (about["outcome"] == "failure") is (outcome in FAILURES)
    assert (about["outcome"] == "success") is (outcome is Outcome.SUCCESS)
    assert ("allowed" in about["type"]) is (outcome not in FAILURES)
    assert about["code"] == outcome
    assert document["log"]["level"] == ("warning" if outcome in FAILURES else "info")


def test_durations_are_nanoseconds() -> None:
    assert to_ecs(full(duration_us=1500))["event"]["duration"] == 1_500_000


def test_a_leak_is_an_alert() -> None:
    about = to_ecs(full(kind=Kind.LEAK, outcome=None))["event"]
    assert (about["kind"], about["action"]) == ("alert", "token-redacted")
