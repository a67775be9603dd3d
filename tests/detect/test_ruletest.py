"""Test files of rules: what they may say, what a wrong one is told, and that a wrong rule fails."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from bearerwatch.detect.ruletest import run_rule_tests
from bearerwatch.detect.scenario import START, read_scenarios
from bearerwatch.detect.sigma import read_rule
from bearerwatch.errors import RuleError

HIT = "  - name: hit\n    events:\n      - {repeat: 20, fields: {outcome: invalid, client_ip: a}}\n    expect:\n      - {key: {client_ip: a}}\n"
MISS = "  - name: miss\n    events:\n      - {repeat: 19, fields: {outcome: invalid, client_ip: a}}\n    expect: []\n"


RULE = """\
title: Failed token
name: failed_token
logsource: {product: bearerwatch, service: auth}
detection:
  failed:
    outcome: [invalid, expired]
  condition: failed
---
title: Many failed requests from one address
id: 9e302fa1-0fe6-44b7-a5b5-4f6df4c05e1d
status: stable
description: Twenty a minute.
level: medium
falsepositives: [A broken client]
correlation:
  type: event_count
  rules: [failed_token]
  group-by: [client_ip]
  timespan: 1m
  condition:
    gte: 20
bearerwatch:
  version: 1
"""


def write(folder: Path, tests: str | None, **change: str) -> Path:
    text = RULE
    for old, new in change.items():
        text = text.replace(old.replace("_", " "), new)
    path = folder / "some_rule.yml"
    path.write_text(text, encoding="utf-8")
    if tests is not None:
        (folder / "some_rule.test.yml").write_text(tests, encoding="utf-8")
    return path


def test_results_tell_hits_from_near_misses(tmp_path: Path) -> None:
    results = run_rule_tests(read_rule(write(tmp_path, "tests:\n" + HIT + MISS)))
    assert [(r.rule, r.test, r.passed, r.hit) for r in results] == [
        ("some_rule", "hit", True, True),
        ("some_rule", "miss", True, False),
    ]


def test_a_wrong_rule_fails_and_the_problem_says_what_came(tmp_path: Path) -> None:
    path = write(tmp_path, "tests:\n" + HIT + MISS)
    path.write_text(RULE.replace("gte: 20", "gte: 19"))
    hit, miss = run_rule_tests(read_rule(path))
    assert hit.passed
    assert not miss.passed
    assert miss.problem.startswith(
        f"{tmp_path}/some_rule.test.yml:7: 'miss' makes unexpectedly an episode of client_ip=a"
    )
    path.write_text(RULE.replace("gte: 20", "gte: 21"))
    hit, miss = run_rule_tests(read_rule(path))
    assert "misses an episode of client_ip=a" in hit.problem
    assert miss.passed


@pytest.mark.parametrize("wrong", ["hits: 2", "peak: 21", "first: 18s", "last: 20s"])
def test_every_expectation_counts(tmp_path: Path, wrong: str) -> None:
    tests = "tests:\n" + HIT.replace("client_ip: a}}\n", f"client_ip: a}}, {wrong}}}\n").replace(
        "{repeat: 20, fields: {outcome: invalid, client_ip: a}, " + wrong + "}",
        "{repeat: 20, fields: {outcome: invalid, client_ip: a}}",
    )
    (hit, _) = run_rule_tests(read_rule(write(tmp_path, tests + MISS)))
    assert not hit.passed


@pytest.mark.parametrize(
    ("tests", "words"),
    [
        (None, "has no test file: write some_rule.test.yml"),
        ("tests:\n" + HIT, "no near miss"),
        ("tests:\n" + MISS, "no hit"),
        (
            "tests:\n"
            + HIT.replace("client_ip: a}}\n", "client_ip: a}}\n").replace("key: {client_ip: a}", "key: {peer_ip: a}")
            + MISS,
            "write client_ip",
        ),
        ("", "exactly one document"),
        ("tests: []\n", "no tests"),
        ("tests: x\n", "no tests"),
        ("test:\n" + HIT, "did you mean tests?"),
        ("tests:\n  - x\n", "is no mapping"),
        ("tests:\n  - {name: x}\n", "needs a name, a list of events"),
        ("tests:\n" + HIT.replace("repeat: 20", "repeat: 0") + MISS, "repeats"),
        ("tests:\n" + HIT.replace("repeat: 20", "repeat: 20001") + MISS, "20000"),
        ("tests:\n" + HIT.replace("repeat: 20", "repeat: true") + MISS, "repeats"),
        ("tests:\n" + HIT.replace("repeat: 20", "repaet: 20") + MISS, "did you mean repeat?"),
        ("tests:\n" + HIT.replace("repeat: 20", "repeat: 20, every: 1") + MISS, "250ms, 2s"),
        ("tests:\n" + HIT.replace("repeat: 20", "repeat: 20, at: soon") + MISS, "250ms, 2s"),
        ("tests:\n" + HIT.replace("outcome:", "outcom:") + MISS, "did you mean outcome?"),
        ("tests:\n" + HIT.replace("invalid", "invalit") + MISS, "no valid event"),
        ("tests:\n" + HIT.replace("fields: {outcome: invalid, client_ip: a}", "fields: x") + MISS, "needs 'fields'"),
        ("tests:\n" + HIT.replace("key: {client_ip: a}", "hits: 1") + MISS, "without a key"),
        ("tests:\n" + HIT.replace("key: {client_ip: a}", "key: {client_ip: a}, hits: x") + MISS, "whole number"),
        ("tests:\n" + HIT.replace("key: {client_ip: a}", "key: {client_ip: a}, hit: 1") + MISS, "did you mean hits?"),
    ],
)
def test_what_is_wrong_with_a_test_file_is_told(tmp_path: Path, tests: str | None, words: str) -> None:
    rule = read_rule(write(tmp_path, tests))
    with pytest.raises(RuleError, match=r"^.+\.yml:\d+: ") as raised:
        run_rule_tests(rule)
    assert words in str(raised.value)


def test_events_are_written_short(tmp_path: Path) -> None:
    path = tmp_path / "x.test.yml"
    path.write_text(
        "tests:\n  - name: x\n    expect: []\n    events:\n"
        '      - {repeat: 3, every: 250ms, fields: {outcome: success, path: "/{i}/{i%2}/{i:03d}/{i%2:02x}/{j}/{i.x}"}}\n'
        "      - {fields: {outcome: missing, status: 401}}\n"
        "      - {repeat: 2, every: 1h, at: 1m, fields: {kind: audit}}\n"
    )
    (scenario,) = read_scenarios(path)
    assert [(e.ts - START) / timedelta(seconds=1) for e in scenario.events] == [0, 0.25, 0.5, 0.75, 60, 3660]
    assert [e.path for e in scenario.events[:3]] == [f"/{i}/{i % 2}/00{i}/0{i % 2}/{{j}}/{{i.x}}" for i in range(3)]
    assert scenario.events[3].status == 401
    assert len({e.event_id for e in scenario.events}) == 6
