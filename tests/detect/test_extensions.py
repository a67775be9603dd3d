"""What a rule says under ``bearerwatch: detect``: read with its defaults, and every mistake named with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bearerwatch.detect.ir_keyed import Baseline, FirstSeen, Silence, Travel
from bearerwatch.detect.sigma import read_rule
from bearerwatch.errors import RuleError

RULE = """title: base
name: let_in
logsource: {{product: bearerwatch, service: auth}}
detection: {{s: {{outcome: success}}, condition: s}}
---
title: root
id: 5e0a3c4c-0a53-4c1e-8c54-0f8f3f0e5d11
status: test
level: low
description: d
falsepositives: [none]
correlation:
  type: event_count
  rules: [let_in]
  group-by: [token_id]
  timespan: 1h
  condition: {{gte: 2}}
bearerwatch:
  version: 1
  detect: {detect}
"""


def read(tmp_path: Path, detect: str) -> object:
    path = tmp_path / "a_rule.yml"
    path.write_text(RULE.format(detect=detect))
    return read_rule(path).correlation


def test_each_kind_has_defaults_and_takes_key_and_window_from_the_correlation(tmp_path: Path) -> None:
    travel = read(tmp_path, "{type: travel}")
    assert isinstance(travel, Travel)
    assert (travel.group_by, travel.seconds, travel.learned.by) == (("token_id",), 3600, ("subject_id",))
    seen = read(tmp_path, "{type: first_seen, fields: [country, asn], memory: 2d, alone: 9}")
    assert isinstance(seen, FirstSeen)
    assert (seen.fields, seen.learned.memory, seen.learned.alone) == (("country", "asn"), 2 * 86_400, 9)
    baseline = read(tmp_path, "{type: baseline, known_by: [success], ratio: 2}")
    assert isinstance(baseline, Baseline)
    assert (baseline.ratio, baseline.rank) == (2.0, 3)
    silence = read(tmp_path, "{type: silence, floor: 10m}")
    assert isinstance(silence, Silence)
    assert silence.floor == 600


@pytest.mark.parametrize(
    ("detect", "said"),
    [
        ("{}", "without a type"),
        ("{type: travels}", "did you mean travel?"),
        ("{type: [travel]}", "of unknown type"),
        ("{type: travel, sped: 5}", "did you mean speed?"),
        ("{type: travel, speed: fast}", "no whole number"),
        ("{type: travel, speed: true}", "no whole number"),
        ("{type: travel, memory: 30}", "not like 30d"),
        ("{type: travel, memory: 999999d}", "not like 30d"),
        ("{type: travel, elsewhere: [AS13335]}", "no list of at most"),
        ("{type: travel, learn: [subject]}", "which no event has"),
        ("{type: first_seen}", "names none"),
        ("{type: first_seen, fields: [token_id]}", "by which the rule groups"),
        ("{type: first_seen, fields: [country, country]}", "different fields"),
        ("{type: baseline, ratio: 0.5}", "no number from 1.0"),
        ("{type: baseline, block: 7m, settle: 2m}", "no multiple of settle"),
        ("{type: baseline, known_by: [succes]}", "no list of outcomes"),
        ("{type: silence, sightings: 1}", "no whole number from 2"),
        ("[travel]", "without a type"),
    ],
)
def test_mistakes_are_named_with_their_line_and_the_mend(tmp_path: Path, detect: str, said: str) -> None:
    with pytest.raises(RuleError) as caught:
        read(tmp_path, detect)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'a_rule.yml'}:20: ")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["travel", "5m", "country", "nan", "1e9d"]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
names = st.sampled_from(
    [
        "fields",
        "learn",
        "sightings",
        "alone",
        "span",
        "most",
        "memory",
        "settle",
        "elsewhere",
        "ratio",
        "floor",
        "block",
    ]
)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    kind=st.sampled_from(["travel", "first_seen", "baseline", "silence"]),
    given_=st.dictionaries(names, values, max_size=3),
)
def test_whatever_stands_there_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, kind: str, given_: dict[str, object]
) -> None:
    said = ""
    try:
        read(tmp_path_factory.getbasetemp(), json.dumps({"type": kind} | given_))
    except RuleError as error:
        said = str(error)
    assert "\n" not in said
