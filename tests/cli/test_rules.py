from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bearerwatch.detect.rulebook import load_rules, package_rules

Run = Callable[..., Any]

RULE = """\
title: Refused admin request
name: admin_refused
logsource: {product: bearerwatch, service: auth}
detection:
  selection:
    outcome: [forbidden, insufficient_scope]
    route|startswith: /admin
  condition: selection
---
title: Admin routes probed with one token
id: 6f0b6a2c-7f0e-4c6e-9b0e-0f6c1d7c9a11
description: A token that is refused on three different admin paths within ten minutes.
status: stable
level: high
falsepositives: [An administrator with a new role]
correlation:
  type: value_count
  rules: [admin_refused]
  group-by: [token_id]
  timespan: 10m
  condition:
    field: path
    gte: 3
bearerwatch:
  version: 1
  advice: Ask the holder.
"""
FIELDS = 'outcome: forbidden, token_id: "k00000000:00000000000000000000000000000001", route: /admin/users, path: "/admin/users/{i}"'
HIT = f"""\
  - name: three paths in a minute
    events:
      - {{repeat: 3, every: 10s, fields: {{{FIELDS}}}}}
    expect:
      - key: {{token_id: "k00000000:00000000000000000000000000000001"}}
"""
NEAR = f"""\
  - name: two paths
    events:
      - {{repeat: 2, every: 10s, fields: {{{FIELDS}}}}}
    expect: []
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "admin_probing.yml").write_text(RULE)
    (rules / "admin_probing.test.yml").write_text("tests:\n" + HIT + NEAR)
    return rules


def test_every_rule_in_force_is_listed(run: Run) -> None:
    ran = run("rules", "list")
    assert ran.code == 0
    assert [line.split()[0] for line in ran.out.splitlines()] == [rule.name for rule in load_rules()]
    assert "token_guessing" in ran.out


def test_a_folder_of_ones_own_adds_and_replaces(run: Run, folder: Path) -> None:
    shutil.copy(package_rules() / "token_guessing.yml", folder)
    rows = {row["name"]: row for row in run("rules", "list", "--rules", folder, "--json").rows}
    assert len(rows) == len(load_rules()) + 1
    assert rows["admin_probing"]["title"] == "Admin routes probed with one token"
    assert rows["admin_probing"]["group_by"] == ["token_id"]
    assert (rows["admin_probing"]["ours"], rows["token_guessing"]["ours"], rows["token_sharing"]["ours"]) == (
        False,
        False,
        True,
    )
    assert str(folder / "admin_probing.yml") in run("rules", "list", "--rules", folder).out


@pytest.mark.parametrize("what", [".", "admin_probing.yml", "admin_probing.test.yml"])
def test_a_rule_that_does_what_it_says_passes(run: Run, folder: Path, what: str) -> None:
    ran = run("rules", "test", folder / what)
    assert (ran.code, ran.out) == (0, "✓ admin_probing  1 hit, 1 near miss\n")
    assert ran.err == "1 rules tested, all good\n"


@pytest.mark.parametrize(
    ("tests", "says"),
    [
        ("tests:\n" + HIT, "has no near miss"),
        ("tests:\n" + NEAR, "has no hit"),
        ("tests:\n" + HIT.replace("repeat: 3", "repeat: 2") + NEAR, "'three paths in a minute' misses an episode"),
        ("tests:\n" + HIT + NEAR.replace("repeat: 2", "repeat: 3"), "'two paths' makes unexpectedly"),
        ("tests: [", "admin_probing.test.yml:"),
        (None, "has no test file"),
    ],
)
def test_a_rule_that_does_not_fails_with_its_place(run: Run, folder: Path, tests: str | None, says: str) -> None:
    path = folder / "admin_probing.test.yml"
    path.unlink()
    if tests is not None:
        path.write_text(tests)
    ran = run("rules", "test", folder)
    assert ran.code == 1
    assert ran.out.startswith("✗ admin_probing")
    assert says in ran.out
    assert str(folder) in ran.out
    assert ran.err == "1 rules tested, 1 failed\n"
    (result,) = run("rules", "test", folder, "--json").rows
    assert result["passed"] is False
    assert says in " ".join([result["problem"], *(one["problem"] for one in result["tests"])])


def test_a_rule_that_cannot_be_read_fails_and_the_others_are_tested(run: Run, folder: Path) -> None:
    (folder / "broken.yml").write_text("title: [\n")
    ran = run("rules", "test", folder)
    assert ran.code == 1
    assert "✓ admin_probing" in ran.out
    assert "✗ broken" in ran.out
    assert "broken.yml:" in ran.out
    assert run("rules", "list", "--rules", folder).code == 2


def test_json_tells_each_test(run: Run, folder: Path) -> None:
    (result,) = run("rules", "test", folder, "--json").rows
    assert [(one["test"], one["hit"], one["passed"]) for one in result["tests"]] == [
        ("three paths in a minute", True, True),
        ("two paths", False, True),
    ]


@pytest.mark.parametrize("what", ["none.yml", "empty"])
def test_what_is_not_there_is_wrong_usage(run: Run, tmp_path: Path, what: str) -> None:
    (tmp_path / "empty").mkdir()
    assert run("rules", "test", tmp_path / what).code == 2


def test_a_folder_that_does_not_exist_is_said(run: Run, tmp_path: Path) -> None:
    ran = run("rules", "list", "--rules", tmp_path / "none")
    assert ran.code == 2
    assert "cannot be read" in ran.err
