from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from bearerwatch.detect.ir import And, Compare, EventCount, Not, Op, Or, Sequence, ValueCount, Wildcard
from bearerwatch.detect.sigma import read_rule
from bearerwatch.errors import RuleError
from bearerwatch.event import REPEATED

HEAD = """\
title: Failed
name: failed
logsource: {product: bearerwatch, service: auth}
detection:
  selection:
    outcome: invalid
  condition: selection
---
"""
ROOT = """\
title: Too many
id: 7d0f2a34-4f0e-4f3e-9d50-1a3a2f1f0001
status: test
level: high
description: Why.
falsepositives: [None known]
correlation:
  type: event_count
  rules: [failed]
  group-by: [client_ip]
  timespan: 5m
  condition: {gte: 3}
bearerwatch: {version: 2, advice: Look., notes: [Tune.]}
"""


def read(tmp_path: Path, text: str, name: str = "some_rule.yml") -> object:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_rule(path)


def where(tmp_path: Path, detection: str, condition: str = "selection") -> object:
    """The condition a detection section comes to, without the kind."""
    body = textwrap.indent(textwrap.dedent(detection), "  ")
    base = f"title: F\nname: failed\nlogsource: {{product: bearerwatch, service: auth}}\ndetection:\n{body}\n  condition: {condition}\n---\n"
    rule = read(tmp_path, base + ROOT)
    selected = rule.correlation.selection.where  # type: ignore[attr-defined]
    assert selected.items[0] == Compare("kind", Op.IN, ("auth",))
    return selected.items[1]


@pytest.mark.parametrize(
    ("more", "key", "once"),
    [("", "client_ip", True), ("", "service", False), ("\n    service: edge", "client_ip", False)],
    ids=["of any service", "by service", "of one service"],
)
def test_a_request_that_a_gateway_saw_too_counts_once(tmp_path: Path, more: str, key: str, once: bool) -> None:
    """But for rules that ask for services: those count what each of them saw."""
    base = (
        "title: F\nname: failed\nlogsource: {product: bearerwatch, service: auth}\n"
        f"detection:\n  selection:\n    status: 401{more}\n  condition: selection\n---\n"
    )
    rule = read(tmp_path, base + ROOT.replace("[client_ip]", f"[{key}]"))
    repeated = Not(Compare("reason", Op.IN, (REPEATED,), cased=True))

    assert (repeated in rule.correlation.selection.where.items) is once  # type: ignore[attr-defined]


def refused(tmp_path: Path, text: str) -> str:
    with pytest.raises(RuleError) as raised:
        read(tmp_path, text)
    message = str(raised.value)
    assert message.startswith(f"{tmp_path / 'some_rule.yml'}:")
    return message.removeprefix(f"{tmp_path / 'some_rule.yml'}:")


def test_a_rule_is_read_whole(tmp_path: Path) -> None:
    rule = read(tmp_path, HEAD + ROOT)
    assert (rule.name, rule.version, rule.level, rule.status) == ("some_rule", 2, "high", "test")  # type: ignore[attr-defined]
    assert (rule.advice, rule.notes, rule.falsepositives) == ("Look.", ("Tune.",), ("None known",))  # type: ignore[attr-defined]
    count = rule.correlation  # type: ignore[attr-defined]
    assert isinstance(count, EventCount)
    assert (count.group_by, count.seconds, count.at_least) == (("client_ip",), 300, 3)


@pytest.mark.parametrize(
    ("condition", "at_least"),
    [("{gte: 3}", 3), ("{gt: 3}", 4), ("{gte: 2.5}", 3), ("{gt: 2.5}", 3), ("{gt: 0}", 1)],
)
def test_thresholds(tmp_path: Path, condition: str, at_least: int) -> None:
    rule = read(tmp_path, HEAD + ROOT.replace("{gte: 3}", condition))
    assert rule.correlation.at_least == at_least  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("detection", "expected"),
    [
        ("selection: {outcome: [invalid, Expired]}", Compare("outcome", Op.IN, ("invalid", "Expired"))),
        ("selection: {path|contains: /admin}", Compare("path", Op.LIKE, (Wildcard.MANY, "/admin", Wildcard.MANY))),
        ("selection: {path|startswith: /v1}", Compare("path", Op.LIKE, ("/v1", Wildcard.MANY))),
        ("selection: {path|endswith|cased: .PHP}", Compare("path", Op.LIKE, (Wildcard.MANY, ".PHP"), cased=True)),
        ("selection: {path: '/a?c*'}", Compare("path", Op.LIKE, ("/a", Wildcard.ONE, "c", Wildcard.MANY))),
        (r"selection: {path: '/a\*'}", Compare("path", Op.IN, ("/a*",))),
        ("selection: {user_agent|cased: Curl}", Compare("user_agent", Op.IN, ("Curl",), cased=True)),
        ("selection: {client_id: null}", Compare("client_id", Op.EXISTS, value=False)),
        ("selection: {client_id|exists: true}", Compare("client_id", Op.EXISTS, value=True)),
        ("selection: {client_id: ''}", Compare("client_id", Op.IN, ("",))),
        ("selection: {client_id: 7}", Compare("client_id", Op.IN, ("7",))),
        ("selection: {verified: true}", Compare("verified", Op.IN, (True,))),
        ("selection: {status: ['403', 404]}", Compare("status", Op.IN, (403, 404))),
        ("selection: {status|gte: 500}", Compare("status", Op.GTE, 500)),
        ("selection: {duration_us|lt: 1.5}", Compare("duration_us", Op.LT, 1.5)),
        ("selection: {lat|gt: -3}", Compare("lat", Op.GT, -3)),
        ("selection: {client_ip|cidr: 10.0.0.0/8}", Compare("client_ip", Op.CIDR, "10.0.0.0/8")),
        ("selection: {path|re: '^/v[0-9]+$'}", Compare("path", Op.RE, "^/v[0-9]+$")),
        ("selection: {path|re|i: 'x'}", Compare("path", Op.RE, "(?i)x")),
        ("selection: {outcome|neq: success}", Not(Compare("outcome", Op.IN, ("success",)))),
    ],
)
def test_forms_of_values(tmp_path: Path, detection: str, expected: object) -> None:
    assert where(tmp_path, detection) == expected


def test_conditions_are_joined(tmp_path: Path) -> None:
    detection = """
    selection: {outcome: invalid, status: 401}
    filter: {user_agent|contains: health}
    """
    assert where(tmp_path, detection, "selection and not filter") == And(
        (
            And((Compare("outcome", Op.IN, ("invalid",)), Compare("status", Op.IN, (401,)))),
            Not(Compare("user_agent", Op.LIKE, (Wildcard.MANY, "health", Wildcard.MANY))),
        )
    )
    assert where(tmp_path, "a: {outcome: invalid}\nb: {status: 500}", "1 of them") == Or(
        (Compare("outcome", Op.IN, ("invalid",)), Compare("status", Op.IN, (500,)))
    )


def test_value_count_and_ordered(tmp_path: Path) -> None:
    values = ROOT.replace("event_count", "value_count").replace("{gte: 3}", "{gte: 3, field: path}")
    rule = read(tmp_path, HEAD + values)
    assert isinstance(rule.correlation, ValueCount)  # type: ignore[attr-defined]
    assert rule.correlation.field == "path"  # type: ignore[attr-defined]

    inner = "title: Many\nname: many\ncorrelation: {type: event_count, rules: failed, group-by: [client_ip], timespan: 1m, condition: {gte: 4}}\n---\n"
    let_in = HEAD.replace("failed", "let_in").replace("invalid", "success")
    outer = ROOT.replace("event_count", "temporal_ordered").replace("[failed]", "[many, let_in]")
    rule = read(tmp_path, HEAD + let_in + inner + outer.replace("  condition: {gte: 3}\n", ""))
    steps = rule.correlation.steps  # type: ignore[attr-defined]
    assert isinstance(rule.correlation, Sequence)  # type: ignore[attr-defined]
    assert isinstance(steps[0], EventCount)
    assert steps[1].name == "let_in"


def test_several_base_rules_are_any_of_them(tmp_path: Path) -> None:
    other = HEAD.replace("failed", "other").replace("invalid", "expired")
    rule = read(tmp_path, HEAD + other + ROOT.replace("[failed]", "[failed, other]"))
    assert isinstance(rule.correlation.selection.where, Or)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        # the event's fields
        (("outcome: invalid", "outcom: invalid"), 6, "did you mean outcome?"),
        (("outcome: invalid", "ts: 3"), 6, "timespan"),
        (("outcome: invalid", "received_at: 3"), 6, "no event has"),
        (("outcome: invalid", "outcome: invalit"), 6, "did you mean invalid?"),
        (("outcome: invalid", "outcome|re: '('"), 6, "("),
        (("outcome: invalid", "path|re: '" + "a" * 600 + "'"), 6, "shorten"),
        (("outcome: invalid", "path: '" + "*a" * 20 + "'"), 6, "wildcards"),
        (("outcome: invalid", "status: many"), 6, "whole number"),
        (("outcome: invalid", "status: 4.5"), 6, "whole number"),
        (("outcome: invalid", "status: true"), 6, "whole number"),
        (("outcome: invalid", "status|gt: 1.0e+300"), 6, "64 bits"),
        (("outcome: invalid", "status|contains: '4'"), 6, "no text"),
        (("outcome: invalid", "status|re: '4'"), 6, "no text"),
        (("outcome: invalid", "verified: 1"), 6, "true or false"),
        (("outcome: invalid", "path: true"), 6, "quotes"),
        (("outcome: invalid", "path|gt: 3"), 6, "no number"),
        (("outcome: invalid", "lat: north"), 6, "a number"),
        (("outcome: invalid", "path|cidr: 10.0.0.0/8"), 6, "client_ip or peer_ip"),
        (("outcome: invalid", "client_ip|cidr: 10.0.0.0/99"), 6, "10.0.0.0/99"),
        (("outcome: invalid", "path|fieldref: route"), 6, "not supported"),
        (("outcome: invalid", "path|expand: '%x%'"), 6, "placeholder"),
        (("outcome: invalid", "path|frob: x"), 6, "frob"),
        (("selection:\n    outcome: invalid", "selection: [invalid]"), 4, "name the field"),
        (("condition: selection\n", "condition: selecton\n"), 4, "selecton"),
        (("condition: selection\n", "condition: [selection, selection]\n"), 7, "join them"),
        (("condition: selection\n", "condition: (selection\n"), 4, ""),
        (("  condition: selection\n", ""), 4, "condition"),
        # what the rule is about
        (("product: bearerwatch, ", ""), 3, "product: bearerwatch"),
        (("service: auth", "service: sshd"), 3, "heartbeat"),
        (("logsource:", "logsuorce:"), 3, "did you mean logsource?"),
        # the correlation
        (("event_count", "temporal"), 17, "needs 2 to 8 different rules"),
        (("event_count", "value_median"), 20, "name one"),
        (("event_count", "evnt_count"), 16, "evnt_count"),
        (("event_count", "value_count"), 20, "name one"),
        (("{gte: 3}", "{gte: 3, field: path}"), 20, "value_count"),
        (("{gte: 3}", "{lt: 1}"), 20, "nothing can meet"),
        (("{gte: 3}", "{lte: -1}"), 20, "nothing can meet"),
        (("{gte: 3}", "{eq: 0}"), 20, "nothing can meet"),
        (("{gte: 3}", "{eq: 2.5}"), 20, "nothing can meet"),
        (("{gte: 3}", "{gt: 3, lt: 4}"), 20, "nothing can meet"),
        (("{gte: 3}", "{gte: 3, lte: 3, neq: 3}"), 20, "nothing can meet"),
        (("{gte: 3}", "{lte: 2000000}"), 20, "every event would meet it"),
        (("{gte: 3}", "{gte: .nan}"), 20, "no number"),
        (("{gte: 3}", "{gte: true}"), 20, "no number"),
        (("{gte: 3}", "{gte: 1.0000001}"), 20, "decimal places"),
        (("{gte: 3}", "{gte: 3, percentile: 5}"), 20, "only value_percentile"),
        (("{gte: 3}", "{gte: 0}"), 20, "between"),
        (("{gte: 3}", "{gte: 100000000}"), 20, "between"),
        (("{gte: 3}", "{gte: .inf}"), 20, ""),
        (("{gte: 3}", "{gte: 9, lte: 3}"), 20, "nothing can meet"),
        (("5m", "5x"), 19, "5x"),
        (("5m", "0m"), 19, "zero"),
        (("5m", "8d"), 19, "7d"),
        (("[client_ip]", "[client_ipp]"), 18, "did you mean client_ip?"),
        (("[client_ip]", "[client_ip, client_ip]"), 18, "different"),
        (("[client_ip]", "[]"), 18, "group-by"),
        (("[client_ip]", "[ts]"), 18, "no event has"),
        (("  group-by: [client_ip]\n", ""), 15, "group-by"),
        (("[failed]", "[fialed]"), 1, "fialed"),
        (("[failed]", "[some_rule]"), 1, "some_rule"),
        (("timespan", "timeframe"), 19, "timespan"),
        (("  condition: {gte: 3}", "  condition: {gte: 3}\n  generate: true"), 21, "file of its own"),
        (("  condition: {gte: 3}", "  condition: {gte: 3}\n  aliases: {a: {failed: path}}"), 21, "remove"),
        # about the rule
        (("level: high\n", ""), 9, "'level'"),
        (("level: high", "level: hihg"), 12, "hihg"),
        (("id: 7d0f2a34-4f0e-4f3e-9d50-1a3a2f1f0001", "id: 12"), 10, ""),
        (("falsepositives: [None known]\n", ""), 9, "'falsepositives'"),
        (("falsepositives: [None known]", "falsepositives: none"), 14, "list"),
        (("description: Why.", "descripton: Why."), 13, "did you mean description?"),
        (("bearerwatch: {version: 2, advice: Look., notes: [Tune.]}\n", ""), 9, "'bearerwatch'"),
        (("version: 2", "version: two"), 21, "whole number"),
        (("version: 2", "version: true"), 21, "whole number"),
        (("version: 2, advice", "version: 2, advise"), 21, "did you mean advice?"),
        (("advice: Look.", "advice: [Look]"), 21, "sentence"),
        (("notes: [Tune.]", "notes: Tune."), 21, "list"),
        (("bearerwatch: {version: 2, advice: Look., notes: [Tune.]}", "bearerwatch: 2"), 21, "version: 1"),
        (("title: Too many", "title: Too many\ntitle: Twice"), 10, "second time"),
        (("title: Too many", "action: global\ntitle: Too many"), 9, "write each rule out"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_line_and_the_mend(
    tmp_path: Path, change: tuple[str, str], line: int, words: str
) -> None:
    text = HEAD + ROOT
    assert change[0] in text
    message = refused(tmp_path, text.replace(*change, 1) if change[0] != "[failed]" else text.replace(*change))
    assert message.startswith(f"{line}: "), message
    assert words in message
    assert "\n" not in message


def test_each_rule_needs_a_correlation_and_each_base_rule_a_use(tmp_path: Path) -> None:
    assert "exactly one" in refused(tmp_path, HEAD)
    assert "exactly one" in refused(tmp_path, HEAD + ROOT + "---\n" + ROOT.replace("0001", "0002"))
    assert "used by no other" in refused(tmp_path, HEAD + HEAD.replace("failed", "other") + ROOT)
    assert "second time" in refused(tmp_path, HEAD + HEAD + ROOT)
    assert "second time" in refused(tmp_path, HEAD + ROOT + "---\n" + ROOT)


def test_ordered_correlations_are_held_to_what_is_supported(tmp_path: Path) -> None:
    ordered = ROOT.replace("event_count", "temporal_ordered").replace("  condition: {gte: 3}\n", "")
    let_in = HEAD.replace("failed", "let_in").replace("invalid", "success")
    both = ordered.replace("[failed]", "[failed, let_in]")
    assert "2 to 8" in refused(tmp_path, HEAD + ordered)
    assert "names a rule twice" in refused(tmp_path, HEAD + ordered.replace("[failed]", "[failed, failed]"))
    assert "remove the condition" in refused(
        tmp_path, HEAD + let_in + both.replace("timespan", "condition: {gte: 1}\n  timespan")
    )
    assert "remove the condition" in refused(
        tmp_path, HEAD + let_in + both.replace("timespan", "condition: failed and let_in\n  timespan")
    )
    many = "title: Many\nname: many\ncorrelation: {type: event_count, rules: failed, group-by: [KEY], timespan: 1m, condition: {gte: 4}}\n---\n"
    chained = ordered.replace("[failed]", "[many, let_in]")
    assert "group by client_ip in both" in refused(tmp_path, HEAD + let_in + many.replace("KEY", "peer_ip") + chained)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "is empty"),
        (b"---\n---\n", "is empty"),
        (b"\xff\xfe", "UTF-8"),
        (b"title: [", "not YAML"),
        (b"title: 'x\n", "not YAML"),
        (b"\ttitle: x", "not YAML"),
        (b"title: \x07", "not YAML"),
        (b"- a\n- b\n", "not a mapping"),
        (b"just text", "not a mapping"),
        (b"1: x\n", "not text"),
        (b"? [a, b]\n: x\n", "not YAML"),
        (b"a: !!python/object:os.system {}\n", "not YAML"),
        (b"a: 2026-99-99\n", "quotes"),
        (b"a: " + b"[" * 5000, "nested deeper"),
        (b"a: " + b"{b: " * 5000, "nested deeper"),
        (b"a: [" + b"x," * 30000 + b"]", "more than 20000"),
        (b"a: x\n" * 20000, "longer than 65536 bytes"),
        (b"a: &x [1]\nb: [" + b"*x," * 60 + b"]", "aliases"),
        (b"a: &a [*a]\n", ""),
        (b"a: &a {b: *a}\n", ""),
    ],
)
def test_hostile_files_are_refused_within_bounds(tmp_path: Path, raw: bytes, words: str) -> None:
    path = tmp_path / "some_rule.yml"
    path.write_bytes(raw)
    with pytest.raises(RuleError, match=rf"^{path}:\d+: ") as raised:
        read_rule(path)
    assert words in str(raised.value)


def test_a_billion_laughs_are_not_laughed(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{i}: &a{i} [" + ",".join([f"*a{i - 1}"] * 5) + "]" for i in range(1, 10)]
    assert "aliases" in refused(tmp_path, "\n".join(lines))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"none\.yml:1: cannot be read"):
        read_rule(tmp_path / "none.yml")
