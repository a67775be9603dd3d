"""``rules show``, and the results of ``rules test`` as CI systems read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from bearerwatch.detect.ir import Rule
from bearerwatch.detect.rulebook import load_rules, package_rules
from bearerwatch.detect.words import sentence

Run = Callable[..., Any]


def test_a_rule_is_told_in_words(run: Run) -> None:
    ran = run("rules", "show", "token_sharing")
    assert ran.code == 0
    assert "Fires on " in ran.out
    assert "What to do" in ran.out


@pytest.mark.parametrize("rule", load_rules(), ids=lambda rule: rule.name)
def test_there_are_words_for_every_rule(rule: Rule) -> None:
    assert len(sentence(rule.correlation)) > 40


def test_json_and_ids(run: Run) -> None:
    told = run("rules", "show", "token_sharing", "--json").json
    assert "different values or more of client_ip" in told["sentence"]
    assert run("rules", "show", told["id"], "--json").json == told
    assert run("rules", "show", "no_such").code == 2


def test_results_for_ci(run: Run, tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    for name in ("token_sharing.yml", "token_sharing.test.yml"):
        (rules / name).write_bytes((package_rules() / name).read_bytes())
    text = (rules / "token_sharing.test.yml").read_text(encoding="utf-8")
    (rules / "untested.yml").write_bytes((rules / "token_sharing.yml").read_bytes())
    (rules / "token_sharing.test.yml").write_text(
        text.replace("expect: []", "expect: [{key: {a: b}}]", 1).replace("{a: b}", "{token_id: x, presented_id: y}"),
        encoding="utf-8",
    )
    ran = run("rules", "test", rules, "--junit", tmp_path / "rules.xml")
    assert ran.code == 1
    root = ET.parse(tmp_path / "rules.xml").getroot()
    suites = {suite.get("name"): suite for suite in root}
    assert (suites["token_sharing"].get("failures"), suites["token_sharing"].get("errors")) == ("1", "0")
    failure = suites["token_sharing"].find("testcase/failure")
    assert failure is not None
    assert "token_sharing.test.yml:" in (failure.get("message") or "")
    assert suites["untested"].get("errors") == "1"
