"""Rules for other products: what each backend that is installed writes, and that what it leaves out is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from bearerwatch.detect.ir import EventCount
from bearerwatch.detect.rulebook import load_rules, package_rules
from bearerwatch.detect.sigma.convert import Converted, convert
from bearerwatch.detect.sigma.targets import SCHEMAS, backend_of, backends, schema_of
from bearerwatch.errors import ConfigurationError
from bearerwatch.formats import ecs

BASE = """\
title: Refused
name: refused
logsource: {product: bearerwatch, service: auth}
detection:
  refused: {outcome: [invalid, expired]}
  condition: refused
---
"""
LET_IN = """\
title: Let in
name: let_in
logsource: {product: bearerwatch, service: auth}
detection:
  in: {outcome: success}
  condition: in
---
"""
HEAD = """\
title: A rule
id: 9e302fa1-0fe6-44b7-a5b5-4f6df4c05e1d
status: stable
description: None.
level: high
falsepositives: [none]
bearerwatch: {version: 1}
"""
COUNT = (
    BASE
    + HEAD
    + "correlation: {type: event_count, rules: [refused], group-by: [client_ip], timespan: 5m, condition: {gte: 100}}\n"
)
VALUES = (
    BASE
    + HEAD
    + "correlation: {type: value_count, rules: [refused], group-by: [client_ip], timespan: 5m, "
    + "condition: {field: presented_id, gte: 30}}\n"
)
ORDERED = (
    BASE
    + LET_IN
    + HEAD
    + "correlation: {type: temporal_ordered, rules: [refused, let_in], group-by: [client_ip], timespan: 5m}\n"
)


def to(folder: Path, target: str, text: str, **more: str) -> Converted:
    path = folder / "a_rule.yml"
    path.write_text(text, encoding="utf-8")
    name, backend = backend_of(target)
    return convert(path, name, backend, **{"schema": schema_of(name)} | more)


@pytest.mark.parametrize(
    ("target", "text", "has", "warned"),
    [
        ("splunk", COUNT, "stats count as event_count by _time src_endpoint.ip", ["tumbling", "counted as one"]),
        ("splunk", VALUES, "dc(authentication_token.uid)", ["tumbling"]),
        ("elastic", COUNT, "by timebucket, source.ip", ["tumbling", "counted as one"]),
        ("elastic", VALUES, "count_distinct(bearerwatch.presented_id)", ["tumbling", "estimated"]),
        ("eql", COUNT, "with runs=100", ["do not overlap", "counted as one"]),
        ("elastalert", COUNT, "num_events: 100", ["counted as one"]),
        ("elastalert", VALUES, "max_threshold: 29", ["sampled", "estimated"]),
        ("opensearch", COUNT, "by source.ip", ["no time span", "counted as one"]),
        ("opensearch", VALUES, "dc(bearerwatch.presented_id)", ["no time span"]),
        ("sentinel", COUNT, "bin(TimeGenerated, 300s), client_ip", ["tumbling"]),
        ("sentinel", VALUES, "count_distinct(presented_id) by bin(TimeGenerated, 300s)", ["tumbling"]),
        ("splunk", ORDERED, 'status_detail="success"', ["not counted"]),
        ("lucene", COUNT, "event.code:(invalid OR expired)", ["not counted"]),
    ],
)
def test_what_means_less_there_is_told(tmp_path: Path, target: str, text: str, has: str, warned: list[str]) -> None:
    found = to(tmp_path, target, text)
    assert found.problem == ""
    assert has in "\n".join(found.queries)
    assert len(found.warnings) == len(warned)
    assert all(word in said for word, said in zip(warned, found.warnings, strict=True))


@pytest.mark.parametrize(
    ("target", "text", "why"),
    [
        ("eql", VALUES, "one value many times"),
        ("eql", ORDERED, "refuses"),
        ("opensearch", ORDERED, "EventID"),
    ],
)
def test_what_cannot_work_there_is_not_written(tmp_path: Path, target: str, text: str, why: str) -> None:
    found = to(tmp_path, target, text)
    assert found.queries == ()
    assert why in found.problem


CHAIN = (
    BASE
    + LET_IN
    + """\
title: Many
name: many
correlation: {type: event_count, rules: [refused], group-by: [client_ip], timespan: 1m, condition: {gte: 9}}
---
"""
    + HEAD
    + "correlation: {type: temporal, rules: [many, let_in], group-by: [client_ip], timespan: 5m, "
    + "condition: many and not let_in}\n"
)


def test_of_a_chain_the_rule_alone_is_written_and_what_it_loses_is_told(tmp_path: Path) -> None:
    found = to(tmp_path, "splunk", CHAIN)
    (query,) = found.queries
    assert 'NOT event_types="let_in"' in query
    assert [said.split(":")[0][:30] for said in found.warnings] == [
        "tumbling windows",
        "an event that stands for many ",
        "windows within windows",
        "what must not have come before",
    ]


def test_rules_of_our_own_kinds_are_approximated_or_not_written() -> None:
    name, backend = backend_of("splunk")
    travel = convert(package_rules() / "impossible_travel.yml", name, backend, schema="ocsf")
    assert travel.queries
    assert travel.warnings[0].startswith("an approximation")
    silent = convert(package_rules() / "silent_service.yml", name, backend, schema="ocsf")
    assert (silent.queries, "do not come" in silent.problem) == ((), True)


def test_what_goes_without_saying_here_is_said_there(tmp_path: Path) -> None:
    """The kind of event, and that a request told of twice counts once."""
    query = "\n".join(to(tmp_path, "elastic", COUNT).queries)
    assert 'event.dataset=="bearerwatch.auth"' in query
    assert 'not event.reason=="told_by_service"' in query
    assert "class_uid=3002" in "\n".join(to(tmp_path, "splunk", COUNT).queries)


def test_names_are_those_of_the_formats_events_are_exported_in(tmp_path: Path) -> None:
    assert SCHEMAS["ecs"]["path"] == ecs.MAPPING["path"] == "url.path"
    assert "outcome" in to(tmp_path, "splunk", COUNT, schema="plain").queries[0]
    assert "event.code" in to(tmp_path, "splunk", COUNT, schema="ecs").queries[0]


def test_an_index_is_named_where_a_query_names_one(tmp_path: Path) -> None:
    assert "index=" in to(tmp_path, "splunk", COUNT, index="tokens").queries[0].replace('"', "")
    assert "from tokens" in to(tmp_path, "elastic", COUNT, index="tokens").queries[0]
    assert to(tmp_path, "sentinel", COUNT, index="Tokens_CL").queries[0].startswith("Tokens_CL\n")


def test_a_backend_that_is_not_there_names_its_package() -> None:
    with pytest.raises(ConfigurationError, match="pip install pysigma-backend-loki") as caught:
        backend_of("loki")
    assert "AGPL" in str(caught.value)
    with pytest.raises(ConfigurationError, match="Installed are: .*splunk"):
        backend_of("nothing")


def test_a_format_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="savedsearches"):
        to(tmp_path, "splunk", COUNT, form="xml")
    assert "dispatch" in "\n".join(to(tmp_path, "splunk", COUNT, form="savedsearches").queries)


@pytest.mark.parametrize("name", sorted(set(backends()) - {"bearerwatch"}))
def test_every_rule_of_ours_is_converted_or_said_not_to_be(name: str) -> None:
    """And of every count there is at least one warning: no other product counts as ours does."""
    _, backend = backend_of(name)
    for rule in load_rules():
        assert rule.path is not None
        found = convert(rule.path, name, backend, schema=schema_of(name))
        assert bool(found.queries) != bool(found.problem)
        assert found.warnings or found.problem or not isinstance(rule.correlation, EventCount)
