"""The language of correlations: what each kind is read as, and what is refused."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bearerwatch.detect.ir import EventCount, Part, Selection, Sequence, ValueCount
from bearerwatch.detect.ir_windows import Bound, Function, Joint, Measure, Met, Quantor, Relation, Temporal
from bearerwatch.detect.rulebook import package_rules
from bearerwatch.detect.sigma import read_rule
from bearerwatch.errors import RuleError

BASES = """\
title: Failed
name: failed
logsource: {product: bearerwatch, service: auth}
detection: {selection: {outcome: invalid}, condition: selection}
---
title: Let in
name: let_in
logsource: {product: bearerwatch, service: auth}
detection: {selection: {outcome: success}, condition: selection}
---
title: Leaked
name: leaked
logsource: {product: bearerwatch, service: leak}
detection: {selection: {reason|exists: true}, condition: selection}
---
"""
ROOT = """\
title: Rule
id: 7d0f2a34-4f0e-4f3e-9d50-1a3a2f1f0001
status: test
level: high
description: Why.
falsepositives: [None known]
bearerwatch: {version: 1}
correlation:
"""
"""Its correlation's first line is number 24."""
FIRST = BASES.count("\n") + ROOT.count("\n") + 1


def rule(tmp_path: Path, correlation: str, before: str = "") -> Part:
    """What a file comes to whose root says *correlation*, without the base rules it does not use."""
    used = [base for base in BASES.split("---\n") if base and _name(base) in before + correlation]
    path = tmp_path / "some_rule.yml"
    body = "".join(f"  {line}\n" for line in correlation.strip().splitlines())
    path.write_text("---\n".join([*used, *([before] if before else []), ROOT + body]), encoding="utf-8")
    return read_rule(path).correlation  # type: ignore[return-value]


def _name(base: str) -> str:
    return base.split("name: ")[1].split("\n", maxsplit=1)[0]


def refused(tmp_path: Path, correlation: str, before: str = "") -> str:
    with pytest.raises(RuleError) as raised:
        rule(tmp_path, correlation, before)
    file, line, words = str(raised.value).split(":", maxsplit=2)
    assert file == str(tmp_path / "some_rule.yml")
    assert int(line) > 0
    assert "\n" not in words
    return words


def plain(kind: str, condition: str, more: str = "", rules: str = "[failed]") -> str:
    return f"type: {kind}\nrules: {rules}\ngroup-by: [client_ip]\ntimespan: 5m\ncondition: {condition}\n{more}"


def bound(relation: str, number: str) -> Bound:
    return Bound(Relation(relation), Decimal(number))


@pytest.mark.parametrize(
    ("kind", "condition", "function", "bounds", "field", "percentile"),
    [
        ("event_count", "{lt: 3}", "count", [("lt", "3")], None, None),
        ("event_count", "{gt: 3, lte: 9}", "count", [("gt", "3"), ("lte", "9")], None, None),
        ("event_count", "{eq: 3}", "count", [("eq", "3")], None, None),
        ("event_count", "{neq: 3}", "count", [("neq", "3")], None, None),
        ("value_count", "{lte: 2, field: path}", "distinct", [("lte", "2")], "path", None),
        ("value_sum", "{gte: 2.5, field: duration_us}", "sum", [("gte", "2.5")], "duration_us", None),
        ("value_sum", "{lt: -1, field: lat}", "sum", [("lt", "-1")], "lat", None),
        ("value_avg", "{gt: 1000000, field: duration_us}", "average", [("gt", "1000000")], "duration_us", None),
        ("value_median", "{gt: 0.5, field: status}", "median", [("gt", "0.5")], "status", None),
        ("value_percentile", "{gt: 9, field: status, percentile: 95}", "percentile", [("gt", "9")], "status", 95),
    ],
)
def test_measures(
    tmp_path: Path,
    kind: str,
    condition: str,
    function: str,
    bounds: list[tuple[str, str]],
    field: str | None,
    percentile: int | None,
) -> None:
    read = rule(tmp_path, plain(kind, condition))
    assert isinstance(read, Measure)
    assert (read.function, read.field, read.percentile, read.seconds) == (Function(function), field, percentile, 300)
    assert read.bounds == tuple(bound(*one) for one in bounds)
    assert read.group_by == ("client_ip",)
    assert [source.name for source in read.sources] == ["failed"]  # type: ignore[union-attr]


def test_at_least_so_many_stays_plain(tmp_path: Path) -> None:
    assert isinstance(rule(tmp_path, plain("event_count", "{gte: 3}")), EventCount)
    both = rule(tmp_path, plain("value_count", "{gt: 3, field: path}", rules="[failed, let_in]"))
    assert isinstance(both, ValueCount)
    assert (both.selection.name, both.at_least) == ("failed+let_in", 4)


def test_temporal_is_all_of_its_rules_or_as_many_as_said(tmp_path: Path) -> None:
    body = "type: temporal\nrules: [failed, let_in, leaked]\ngroup-by: [client_ip]\ntimespan: 5m\n"
    every = rule(tmp_path, body)
    assert isinstance(every, Temporal)
    assert every.formula == Joint(Quantor.ALL, (Met(0), Met(1), Met(2)))
    assert [step.name for step in every.steps] == ["failed", "let_in", "leaked"]  # type: ignore[union-attr]
    two = rule(tmp_path, body + "condition: {gte: 2}")
    assert isinstance(two, Temporal)
    assert two.formula == Joint(
        Quantor.ANY, tuple(Joint(Quantor.ALL, (Met(a), Met(b))) for a, b in ((0, 1), (0, 2), (1, 2)))
    )


def test_expressions_of_temporal(tmp_path: Path) -> None:
    body = "type: temporal\nrules: [failed, let_in, leaked]\ngroup-by: [client_ip]\ntimespan: 5m\n"
    read = rule(tmp_path, body + "condition: failed and (leaked or not let_in)")
    assert isinstance(read, Temporal)
    inner = Joint(Quantor.ANY, (Met(2), Joint(Quantor.NONE, (Met(1),))))
    assert read.formula == Joint(Quantor.ALL, (Met(0), inner))
    assert read.anchors == {0, 2}
    bare = rule(tmp_path, body.replace("rules: [failed, let_in, leaked]\n", "") + "condition: let_in and not failed")
    assert isinstance(bare, Temporal)
    assert [step.name for step in bare.steps] == ["let_in", "failed"]  # type: ignore[union-attr]


INNER = """\
title: Stranger
name: stranger
correlation:
  type: temporal
  rules: [failed, let_in]
  group-by: [client_ip, presented_id]
  timespan: 1h
  condition: failed and not let_in
"""


def test_chains(tmp_path: Path) -> None:
    """Distinct tokens refused that were never let in from there."""
    counted = rule(tmp_path, plain("value_count", "{gte: 10, field: presented_id}", rules="[stranger]"), INNER)
    assert isinstance(counted, Measure)
    (inner,) = counted.sources
    assert isinstance(inner, Temporal)
    assert inner.group_by == ("client_ip", "presented_id")

    body = "type: temporal_ordered\nrules: [stranger, let_in]\ngroup-by: [client_ip]\ntimespan: 5m"
    ordered = rule(tmp_path, body, INNER)
    assert isinstance(ordered, Sequence)
    assert isinstance(ordered.steps[0], Temporal)
    assert isinstance(ordered.steps[1], Selection)


def chain(depth: int) -> str:
    """As many correlations, each of the one before."""
    text, before = "", "failed"
    for i in range(depth):
        text += f"title: N\nname: n{i}\ncorrelation: {{type: event_count, rules: [{before}], group-by: [client_ip], timespan: 1m, condition: {{gte: 2}}}}\n---\n"
        before = f"n{i}"
    return text.removesuffix("---\n")


def test_how_deep_chains_may_be(tmp_path: Path) -> None:
    assert isinstance(rule(tmp_path, plain("event_count", "{gte: 2}", rules="[n3]"), chain(4)), Measure)
    assert "too deep" in refused(tmp_path, plain("event_count", "{gte: 2}", rules="[n4]"), chain(5))
    assert "too deep" in refused(tmp_path, plain("event_count", "{gte: 2}", rules="[n60]"), chain(61))


def test_aliases(tmp_path: Path) -> None:
    body = """\
type: temporal_ordered
rules: [failed, let_in]
group-by: [address, service]
timespan: 5m
aliases: {address: {failed: client_ip, let_in: peer_ip}}
"""
    read = rule(tmp_path, body)
    assert isinstance(read, Sequence)
    assert read.group_by == ("address", "service")
    assert [step.field("address") for step in read.steps] == ["client_ip", "peer_ip"]  # type: ignore[union-attr]
    assert [step.field("service") for step in read.steps] == ["service", "service"]  # type: ignore[union-attr]
    counted = rule(
        tmp_path,
        "type: value_count\nrules: [failed, let_in]\ngroup-by: [client_ip]\ntimespan: 5m\n"
        "condition: {gte: 3, field: id}\naliases: {id: {failed: presented_id, let_in: token_id}}",
    )
    assert isinstance(counted, Measure)
    assert counted.field == "id"


ALIASED = "type: temporal\nrules: [failed, let_in]\ngroup-by: [address]\ntimespan: 5m\naliases: {}"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (plain("value_sum", "{gte: 3, field: path}"), "no number"),
        (plain("value_avg", "{gte: 3}"), "name one"),
        (plain("value_percentile", "{gte: 3, field: status}"), "percentile: 95"),
        (plain("value_percentile", "{gte: 3, field: status, percentile: 0}"), "from 1 to 100"),
        (plain("value_percentile", "{gte: 3, field: status, percentile: 99.5}"), "percentile"),
        (plain("value_sum", "{gt: 3, lt: 3, field: status}"), "nothing can meet"),
        (plain("value_sum", "{gte: 1.0e+300, field: status}"), "53 bits"),
        (plain("event_count", "{gte: 2000000}"), "between 1 and"),
        (plain("event_count", "{}"), "comparison"),
        (plain("event_count", "{gtee: 3}"), "did you mean gte?"),
        (plain("event_count", "failed"), "temporal"),
        (plain("event_count", "{gte: 3}").replace("5m", "8d"), "beyond 7d"),
        (plain("event_count", "{gte: 3}").replace("5m", "99999999999999999y"), "beyond 7d"),
        (plain("event_count", "{gte: 3}").replace("group-by: [client_ip]\n", ""), "kind is the same for all"),
        (plain("event_count", "{gte: 3}").replace("[client_ip]", "[event_id]"), "every event has its own"),
        (plain("temporal", "{lt: 2}", rules="[failed, let_in]"), "gte: 2"),
        (plain("temporal", "{gte: 3}", rules="[failed, let_in]"), "gte: 2"),
        (plain("temporal", "not failed", rules="[failed]"), "2 to 8"),
        (plain("temporal", "not failed and not let_in", rules="[failed, let_in]"), "'not' alone"),
        (plain("temporal", "failed", rules="[failed, let_in]"), "let_in"),
        (plain("temporal", "failed and leaked", rules="[failed, let_in]"), "let_in"),
        (plain("temporal", "failed and", rules="[failed, let_in]"), ""),
        (plain("temporal", "failed " + "and failed " * 90 + "and let_in", rules="[failed, let_in]"), "64 terms"),
        (plain("temporal_ordered", "{gte: 1}", rules="[failed, let_in]"), "remove the condition"),
        (ALIASED.replace("{}", "{address: {failed: client_ip}}"), "says nothing of let_in"),
        (ALIASED.replace("{}", "{address: {failed: client_ip, let_in: no_field}}"), "no event has"),
        (ALIASED.replace("{}", "{address: {failed: client_ip, let_in: [a]}}"), ""),
        (ALIASED.replace("{}", "{address: {failed: client_ip, let_in: peer_ip, other: peer_ip}}"), "other"),
        (ALIASED.replace("{}", "{path: {failed: client_ip, let_in: peer_ip}}").replace("[address]", "[path]"), "field's name"),
        (ALIASED.replace("{}", "{address: client_ip}"), "dict"),
        (ALIASED.replace("[address]", "[client_ip]").replace("{}", "{address: {failed: client_ip, let_in: peer_ip}}"), "use or remove"),
    ],
)  # fmt: skip
def test_what_is_refused_and_why(tmp_path: Path, body: str, words: str) -> None:
    assert words in refused(tmp_path, body)


def test_what_is_refused_of_chains(tmp_path: Path) -> None:
    outer = plain("value_count", "{gte: 10, field: path}", rules="[stranger]")
    assert "by which one of its rules does not group" in refused(tmp_path, outer, INNER)
    outer = plain("event_count", "{gte: 10}", rules="[stranger]").replace("[client_ip]", "[path]")
    assert "group by path in both" in refused(tmp_path, outer, INNER)
    knot = INNER.replace("[failed, let_in]", "[stranger, let_in]").replace("failed and", "stranger and")
    assert "used by no other" in refused(tmp_path, plain("event_count", "{gte: 2}", rules="[failed]"), knot)
    two = chain(2).replace("rules: [failed]", "rules: [n1]")
    assert "itself" in refused(tmp_path, plain("event_count", "{gte: 2}", rules="[n1]"), two)
    whole = chain(2).replace("rules: [failed]", "rules: [n0, failed]").split("---")[0]
    assert "itself" in refused(tmp_path, plain("event_count", "{gte: 2}", rules="[n0]"), whole)


PAGE = Path(__file__).parents[2] / "docs/reference/rule-language.md"


def test_the_examples_of_the_page_are_taken(tmp_path: Path) -> None:
    examples = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) >= 6
    for example in examples:
        rule(tmp_path, example, INNER if "stranger" in example else "")


@pytest.mark.parametrize(
    "expression",
    [
        "(a{1000}){1000}",
        "(" * 60 + "a" + "){50}" * 60,
        "(?=a)b",
        r"(a)\1",
        "[",
        "a{99999999999999999999}",
        "(?<!x)y",
        "[[a]&&b]",
    ],
)
def test_expressions_that_backtrack_or_are_huge(tmp_path: Path, expression: str) -> None:
    """Refused with the line, or RE2 takes them literally; never slow."""
    text = BASES.split("---\n", maxsplit=1)[0].replace("outcome: invalid", f"path|re: '{expression}'")
    path = tmp_path / "some_rule.yml"
    path.write_text(
        text + "---\n" + ROOT + "".join(f"  {line}\n" for line in plain("event_count", "{gte: 2}").splitlines())
    )
    try:
        read_rule(path)
    except RuleError as error:
        assert str(error).startswith(f"{path}:4: ")  # noqa: PT017 - not every one of them is refused


FILES = sorted(path for path in package_rules().glob("*.yml") if not path.name.endswith(".test.yml"))
PIECES = [
    b"{", b"}", b"[", b"]", b":", b"-", b"#", b"'", b'"', b"*", b"&a ", b"*a", b"|", b"\n", b"  ", b"\x00", b"\xff", b"null",
    b"1e999", b"-1", b".nan", b"true", b"not ", b"and ", b"or ", b"(", b")", b"1 of ", b"all of them", b"temporal", b"value_avg",
    b"gte", b"lt", b"rules", b"condition", b"aliases", b"generate", b"|re", b"|cidr", b"|contains|all", b"|base64", b"%x%",
    b"99999999999999999999", b"correlation:", b"---\n", b"\t",
]  # fmt: skip


@settings(max_examples=60, deadline=2000)
@given(
    st.sampled_from(FILES),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(PIECES)), min_size=1, max_size=4),
)
def test_a_mutated_rule_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, file: Path, changes: list[tuple[float, int, bytes]]
) -> None:
    raw = file.read_bytes()
    for where, cut, piece in changes:
        at = int(where * len(raw))
        raw = raw[:at] + piece + raw[at + cut :]
    path = tmp_path_factory.getbasetemp() / "mutated.yml"
    path.write_bytes(raw)
    try:
        read_rule(path)
    except RuleError as error:
        assert re.fullmatch(rf"{re.escape(str(path))}:[0-9]+: .+", str(error))  # noqa: PT017 - some are read
