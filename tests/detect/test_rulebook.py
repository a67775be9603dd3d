"""The rules that come with bearerwatch, and how a user's own take their place."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import duckdb
import msgspec
import pytest
import yaml

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect.ir import EventCount, Part, Rule, Selection, Sequence, ValueCount, Windowed, selections_of
from bearerwatch.detect.ir_keyed import Keyed
from bearerwatch.detect.ir_windows import Bound, Measure
from bearerwatch.detect.rulebook import load_rules, package_rules, rule_files
from bearerwatch.detect.ruletest import Found, batch, run_rule_tests
from bearerwatch.detect.scenario import START, Scenario, read_scenarios, scenario_file
from bearerwatch.errors import ConfigurationError, RuleError
from bearerwatch.store.engine import COLUMNS, connect

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


@pytest.mark.soak
@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_every_rule_passes_its_own_tests(rule: Rule) -> None:
    """Through the real lake, detector and query. A rule without a hit and a near miss does not get here."""
    results = run_rule_tests(rule)
    assert [result.problem for result in results if not result.passed] == []
    assert {result.hit for result in results} == {True, False}


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_every_rule_passes_a_hit_and_a_near_miss_of_its_own_live(rule: Rule, tmp_path: Path) -> None:
    """All of them live takes a minute: `make soak` does. By the query alone all are played below."""
    assert rule.path is not None
    tests = yaml.safe_load(scenario_file(rule.path).read_text(encoding="utf-8"))["tests"]
    two = [next(t for t in tests if t["expect"]), next(t for t in tests if not t["expect"])]
    path = tmp_path / rule.path.name
    scenario_file(path).write_text(yaml.safe_dump({"tests": two}), encoding="utf-8")
    results = run_rule_tests(replace(rule, path=path))
    assert [result.problem for result in results if not result.passed] == []
    assert [result.hit for result in results] == [True, False]


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


class Played:
    """The scenarios of one rule, one after the other in time, so that one query answers all of them."""

    apart = timedelta(days=60)

    def __init__(self, rule: Rule, con: duckdb.DuckDBPyConnection, folder: Path) -> None:
        assert rule.path is not None
        self.scenarios = read_scenarios(scenario_file(rule.path))
        self.con = con
        events = [
            msgspec.structs.replace(event, ts=event.ts + number * self.apart)
            for number, scenario in enumerate(self.scenarios)
            for event in scenario.events
        ]
        path = folder / "events.jsonl"
        path.write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in events))
        con.read_json(str(path), columns=dict(COLUMNS), format="newline_delimited").create("played")

    def __call__(self, rule: Rule) -> list[str]:
        """The names of the tests that *rule* does not pass."""
        found = batch(rule, self.con, "played")
        failed = []
        for number, scenario in enumerate(self.scenarios):
            since = START + number * self.apart
            mine = [
                Found(one.key, one.first - since + START, one.last - since + START, one.peak, one.hits)
                for one in found
                if since <= one.first < since + self.apart
            ]
            if not agree(rule, scenario, mine):
                failed.append(scenario.name)
        return failed


def agree(rule: Rule, scenario: Scenario, found: list[Found]) -> bool:
    left = [(dict(zip(rule.group_by, e.key, strict=True)), e.hits, e.peak, e.first, e.last) for e in found]
    for expected in scenario.expect:
        want = (expected.key, expected.hits, expected.peak, expected.first, expected.last)
        match = next((f for f in left if all(w in (None, h) for w, h in zip(want, f, strict=True))), None)
        if match is None:
            return False
        left.remove(match)
    return not left


def windows(part: Part) -> Iterator[Windowed]:
    """*part* and all it is made of, but for plain selections."""
    if isinstance(part, Selection):
        return
    yield part
    for inner in getattr(part, "steps", getattr(part, "sources", ())):
        yield from windows(inner)


def swapped(part: Part, old: Part, new: Part) -> Part:
    """*part* with *new* wherever it has *old*: what a change of one document in a rule's file makes of it."""
    if part == old:
        return new
    for name in ("steps", "sources"):
        if inner := getattr(part, name, ()):
            changes: dict[str, Any] = {name: tuple(swapped(one, old, new) for one in inner)}
            return replace(part, **changes)
    return part


IMPLIED = {
    "brute_force_address": "refused",
    "brute_force_network": "refused",
    "brute_force_user_agent": "refused",
    "expired_token_use": "expired_token",
    "success_after_failures": "refused",
}
"""Selections whose plain count the rest of the rule implies. It is there for the sketches, which can count it."""


def equivalent(rule: Rule, old: Part, new: Part) -> bool:
    """Whether *new* asks for less of what is implied anyway."""
    if not isinstance(old, EventCount) or IMPLIED.get(rule.name) != old.selection.name:
        return False
    return isinstance(new, EventCount) and (new.at_least < old.at_least or new.seconds > old.seconds)


def told(part: Part) -> str:
    """*part* in a word, for who has to find it in a rule's file."""
    names = [part.name] if isinstance(part, Selection) else [s.name for s in selections_of(part)]
    number = getattr(part, "at_least", "") or ", ".join(str(b.number) for b in getattr(part, "bounds", ()))
    return f"{type(part).__name__} of {' '.join(names)} ({number} in {getattr(part, 'seconds', 0)} s)"


def mutants(rule: Rule) -> Iterator[tuple[str, Rule]]:
    """*rule* with a threshold or a window that is off: twice, half, and of plain rules a little."""
    if isinstance(rule.correlation, Keyed):
        return
    plain = isinstance(rule.correlation, EventCount | ValueCount)
    for part in dict.fromkeys(windows(rule.correlation)):
        changed: list[Windowed] = [replace(part, seconds=n) for n in (part.seconds * 2, part.seconds // 2)]
        if plain:
            changed += [replace(part, seconds=part.seconds + n) for n in (-1, 60)]
        if isinstance(part, EventCount | ValueCount):
            n = part.at_least
            changed += [replace(part, at_least=m) for m in {2 * n, n // 2, *((n + 1, n - 1) if plain else ())} if m]
        elif isinstance(part, Measure):
            for factor in (Decimal(2), Decimal("0.5")):
                bounds = tuple(Bound(one.relation, one.number * factor) for one in part.bounds)
                changed.append(replace(part, bounds=bounds))
        elif isinstance(part, Sequence):
            changed.append(replace(part, steps=part.steps[::-1]))
        for one in changed:
            if not equivalent(rule, part, one):
                whole = cast("Windowed", swapped(rule.correlation, part, one))
                yield f"{told(part)} -> {told(one)}", replace(rule, correlation=whole)


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if not isinstance(rule.correlation, Keyed)], ids=lambda rule: rule.name
)
def test_the_tests_of_every_rule_are_sharp(rule: Rule, tmp_path: Path) -> None:
    """The rule passes its tests. With any threshold or window twice or half as large some test of it fails."""
    con = connect(tmp_path / "tmp")
    try:
        played = Played(rule, con, tmp_path)
        assert played(rule) == []
        dull = [what for what, mutant in mutants(rule) if not played(mutant)]
    finally:
        con.close()
    assert dull == []


def test_every_test_file_belongs_to_a_rule() -> None:
    files = {path.name for path in package_rules().iterdir()}
    tests = {name for name in files if name.endswith(".test.yml")}
    assert tests == {f"{name}.test.yml" for name in NAMES}
    assert len({rule.uuid for rule in RULES}) == len(RULES)


def test_every_rule_compiles() -> None:
    for rule in RULES:
        assert isinstance(rule.correlation, Keyed) or "PRECEDING" in sql.hits(rule.correlation, "events")


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
