"""The rules that come with bearerwatch, and how a user's own take their place."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect.ir import EventCount, Rule, Sequence, ValueCount
from bearerwatch.detect.rulebook import load_rules, package_rules, rule_files
from bearerwatch.detect.ruletest import run_rule_tests
from bearerwatch.detect.scenario import Scenario, read_scenarios, scenario_file
from bearerwatch.errors import ConfigurationError, RuleError
from detect import oracle

RULES = load_rules()
NAMES = [rule.name for rule in RULES]


def test_the_first_rules_are_there() -> None:
    assert set(NAMES) >= {
        "brute_force_address",
        "expired_token_use",
        "object_enumeration",
        "request_burst",
        "revoked_token_use",
        "success_after_failures",
        "token_guessing",
        "token_sharing",
    }


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_every_rule_passes_its_own_tests(rule: Rule) -> None:
    """Through the real lake, detector and query. A rule without a hit and a near miss does not get here."""
    results = run_rule_tests(rule)
    assert [result.problem for result in results if not result.passed] == []
    assert {result.hit for result in results} == {True, False}


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_every_rule_says_why_and_what_to_do(rule: Rule) -> None:
    assert rule.description
    assert rule.advice
    assert rule.falsepositives
    assert rule.references
    assert any(tag.startswith("attack.t") for tag in rule.tags)
    assert any(tag.startswith("owasp.api") for tag in rule.tags)
    assert rule.level in {"low", "medium", "high", "critical"}
    assert rule.status in {"stable", "test", "experimental"}


def meets(rule: Rule, scenario: Scenario) -> bool:
    """Whether *scenario* passes, by the oracle."""
    found = [
        (dict(zip(rule.group_by, e.key, strict=True)), e.hits, e.peak, e.first, e.last)
        for e in oracle.episodes(rule, scenario.events)
    ]
    for expected in scenario.expect:
        want = (expected.key, expected.hits, expected.peak, expected.first, expected.last)
        match = next((f for f in found if all(w in (None, h) for w, h in zip(want, f, strict=True))), None)
        if match is None:
            return False
        found.remove(match)
    return not found


def mutants(rule: Rule) -> list[Rule]:
    """*rule* with a threshold or a window that is a little off."""
    found = []
    correlation = rule.correlation
    steps = correlation.steps if isinstance(correlation, Sequence) else (correlation,)
    for i, step in enumerate(steps):
        if not isinstance(step, EventCount | ValueCount):
            continue
        changed = [replace(step, at_least=step.at_least + 1), replace(step, seconds=step.seconds - 1)]
        changed += [replace(step, seconds=step.seconds + 60)]
        if step.at_least > 1:
            changed.append(replace(step, at_least=step.at_least - 1))
        for one in changed:
            whole = replace(correlation, steps=(*steps[:i], one, *steps[i + 1 :])) if len(steps) > 1 else one
            found.append(replace(rule, correlation=whole))
    if isinstance(correlation, Sequence):
        found += [replace(rule, correlation=replace(correlation, seconds=correlation.seconds + d)) for d in (-1, 60)]
        found.append(replace(rule, correlation=replace(correlation, steps=correlation.steps[::-1])))
    return found


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_the_tests_of_every_rule_are_sharp(rule: Rule) -> None:
    """A threshold one off, a window a second shorter or a minute longer: some test of the rule notices."""
    assert rule.path is not None
    scenarios = read_scenarios(scenario_file(rule.path))
    assert all(meets(rule, scenario) for scenario in scenarios)
    for mutant in mutants(rule):
        assert not all(meets(mutant, scenario) for scenario in scenarios), mutant.correlation


def test_every_test_file_belongs_to_a_rule() -> None:
    files = {path.name for path in package_rules().iterdir()}
    tests = {name for name in files if name.endswith(".test.yml")}
    assert tests == {f"{name}.test.yml" for name in NAMES}
    assert len({rule.uuid for rule in RULES}) == len(RULES)


def test_every_rule_compiles() -> None:
    for rule in RULES:
        assert "PRECEDING" in sql.hits(rule.correlation, "events")


def test_a_file_of_the_users_takes_the_place_of_one_of_ours(tmp_path: Path) -> None:
    own = tmp_path / "request_burst.yml"
    own.write_text((package_rules() / own.name).read_text(encoding="utf-8").replace("gte: 200", "gte: 2000"))
    rules = {rule.name: rule for rule in load_rules(tmp_path)}
    assert set(rules) == set(NAMES)
    assert rules["request_burst"].correlation.at_least == 2000  # type: ignore[union-attr]
    assert rules["request_burst"].path == own
    assert own in rule_files(tmp_path)


def test_a_rule_is_switched_off_by_its_status(tmp_path: Path) -> None:
    text = (package_rules() / "request_burst.yml").read_text(encoding="utf-8")
    (tmp_path / "request_burst.yml").write_text(text.replace("status: stable", "status: deprecated"))
    assert {rule.name for rule in load_rules(tmp_path)} == set(NAMES) - {"request_burst"}


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    shutil.copy(package_rules() / "request_burst.yml", tmp_path / "twice.yml")
    (tmp_path / "Bad-Name.yml").write_text("x")
    (tmp_path / "broken.yml").write_text("x")
    (tmp_path / "ignored.test.yml").write_text("x")
    (tmp_path / ".hidden.yml").write_text("x")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(RuleError) as raised:
        load_rules(tmp_path)
    lines = str(raised.value).splitlines()
    assert len(lines) == 3
    assert all(line.startswith(str(tmp_path)) and ".yml:1: " in line for line in lines)
    assert "rename it" in lines[0]
    assert "not a mapping" in lines[1]
    assert "uuidgen" in lines[2]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="create it"):
        load_rules(tmp_path / "none")
