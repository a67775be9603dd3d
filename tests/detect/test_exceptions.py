"""Exceptions: what takes no part in a rule, until when, and files that cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fakes
from bearerwatch.detect.exceptions import FOLDER, exemptions, expired
from bearerwatch.detect.ir import Rule
from bearerwatch.detect.rulebook import load_rules
from bearerwatch.detect.ruletest import batch
from bearerwatch.detect.sigma.exceptions import read_exemption
from bearerwatch.errors import RuleError
from detect import oracle
from detect.world import T0, Collector, event

Make = Callable[..., Collector]

TEXT = """\
title: Our own scanner
id: 1f0c9a52-6f1b-4a55-9b77-0d9f3b8f2a10
logsource: {product: bearerwatch, service: auth}
filter:
  rules: [brute_force_address]
  scanner:
    client_ip|cidr: 192.0.2.0/28
  condition: not scanner
bearerwatch:
  author: mara
  because: The security team scans every Monday.
  expires: 2026-03-01T12:02:00Z
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules" / FOLDER).mkdir(parents=True)
    write(tmp_path / "rules")
    return tmp_path / "rules"


def write(folder: Path, text: str = TEXT, name: str = "scanner") -> Path:
    path = folder / FOLDER / f"{name}.yml"
    path.write_text(text, encoding="utf-8")
    return path


def loaded(folder: Path | None, name: str = "brute_force_address") -> Rule:
    return next(rule for rule in load_rules(folder) if rule.name == name)


def refusals(ip: str, *seconds: float) -> list:
    return [event(at, "invalid", client_ip=ip) for at in seconds]


def test_an_excepted_event_takes_no_part_live_and_in_batch_and_nothing_else_changes(
    folder: Path, collector: Make
) -> None:
    plain, rule = loaded(None), loaded(folder)
    assert (rule.version, rule.uuid, rule.window) == (plain.version, plain.uuid, plain.window)
    assert [(one.name, one.author, one.because) for one in rule.exceptions] == [
        ("scanner", "mara", "The security team scans every Monday.")
    ]
    box = collector(rule)
    inside = refusals("192.0.2.9", *range(60))
    outside = refusals("192.0.2.99", *range(60))
    heard = box.tick([*inside, *outside], 65)
    whole = batch(rule, box.con, box.lake.pending())
    assert [one.key for one in whole] == [("192.0.2.99",)]
    assert [change.episode.key for change in heard] == [{"client_ip": "192.0.2.99"}]
    other = Collector(folder, [plain])
    try:
        before = {c.episode.key["client_ip"]: c.episode.id for c in other.tick([*inside, *outside], 65)}
    finally:
        other.close()
    assert before["192.0.2.99"] == heard[0].episode.id
    assert set(before) == {"192.0.2.9", "192.0.2.99"}


def test_it_ends_to_the_microsecond_by_the_time_of_the_event(folder: Path, collector: Make) -> None:
    """Half of a burst lies before the end: only the rest counts, whenever it arrives."""
    rule = loaded(folder)
    end = datetime(2026, 3, 1, 12, 2, tzinfo=UTC)
    events = [
        event(end + timedelta(microseconds=delta), "invalid", client_ip="192.0.2.9")
        for delta in (*range(-5, 0), *range(60))
    ]
    box = collector(rule)
    box.tick(events[::-1], 95)
    box.commit()
    (found,) = box.saved()
    assert (found.first_hit, found.last_hit, found.peak) == (end + timedelta(microseconds=59),) * 2 + (60,)
    assert {(found.first_hit, found.peak)} == {(e.first, e.peak) for e in oracle.episodes(rule, events)}


def test_any_is_every_rule_and_a_missing_service_every_kind(folder: Path) -> None:
    text = (
        TEXT.replace("[brute_force_address]", "any")
        .replace(", service: auth", "")
        .replace("2026-03-01T", "2030-01-01 ")
    )
    write(folder, text)
    assert {len(rule.exceptions) for rule in load_rules(folder)} == {1}


def test_a_condition_may_take_out_several_things(folder: Path, collector: Make) -> None:
    text = TEXT.replace(
        "  condition: not scanner", "  health:\n    user_agent: probe/*\n  condition: not scanner and not health"
    )
    write(folder, text.replace("2026-03-01T12:02:00Z", "never"))
    box = collector(loaded(folder))
    events = [
        *refusals("192.0.2.9", *range(60)),
        *(event(i, client_ip="192.0.2.99", user_agent="Probe/2") for i in range(60)),
    ]
    assert box.tick(events, 65) == []
    assert box.tick([event(70 + i, client_ip="192.0.2.99", user_agent="x") for i in range(60)], 135) != []


def test_an_expired_one_is_told_of(folder: Path) -> None:
    rules = load_rules(folder)
    assert expired(rules, T0) == []
    (said,) = expired(rules, datetime(2026, 3, 1, 12, 2, tzinfo=UTC))
    assert "scanner expired on 2026-03-01 12:02" in said


def test_a_rule_that_is_switched_off_may_be_named(folder: Path) -> None:
    path = loaded(None).path
    assert path is not None
    text = path.read_text(encoding="utf-8").replace("status: stable", "status: deprecated")
    (folder / path.name).write_text(text, encoding="utf-8")
    assert "brute_force_address" not in {rule.name for rule in load_rules(folder)}


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("title: Our own scanner", "title: ''", 1, "title"),
        ("brute_force_address", "brute_force_adress", 5, "rules list"),
        ("rules: [brute_force_address]", "rules: []", 5, "rules: any"),
        ("rules: [brute_force_address]", "rules: [any, brute_force_address]", 5, "keep one"),
        ("product: bearerwatch", "product: windows", 3, "logsource"),
        ("service: auth", "service: shop", 3, "service"),
        ("client_ip|cidr", "clientip|cidr", 7, "client_ip"),
        ("192.0.2.0/28", "192.0.2.0/99", 7, "read"),
        ("condition: not scanner", "condition: scanner", 8, "not <selection>"),
        ("condition: not scanner", "condition: not scaner", 8, "read"),
        ("  author: mara\n", "", 9, "author"),
        ("  because: The", "  because: ''\n  notes: The", 12, "unknown key"),
        ("  expires: 2026-03-01T12:02:00Z\n", "", 9, "never"),
        ("2026-03-01T12:02:00Z", "soon", 12, "2026-12-01"),
        ("title: Our", "titel: x\ntitle: Our", 1, "title"),
        ("title: Our own scanner", "title: a\n---\ntitle: b", 1, "exactly one"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_line_and_the_mend(
    folder: Path, old: str, new: str, line: int, said: str
) -> None:
    assert old in TEXT
    path = write(folder, TEXT.replace(old, new))
    with pytest.raises(RuleError) as caught:
        load_rules(folder)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize("make", [fakes.jwt, fakes.opaque])
def test_a_token_where_a_fingerprint_belongs_is_refused_and_not_repeated(folder: Path, make: Callable[[], str]) -> None:
    token = make()
    write(folder, TEXT.replace("client_ip|cidr: 192.0.2.0/28", f"presented_id: {token}"))
    with pytest.raises(RuleError) as caught:
        load_rules(folder)
    assert "fingerprint" in str(caught.value)
    assert not fakes.leaked(token, str(caught.value))


def test_a_token_in_any_other_place_is_refused_and_not_repeated(folder: Path) -> None:
    token = fakes.jwt()
    for place in ("Our own scanner", "mara", "192.0.2.0/28", "client_ip|cidr", "brute_force_address"):
        write(folder, TEXT.replace(place, token))
        with pytest.raises(RuleError) as caught:
            load_rules(folder)
        assert "looks like a token" in str(caught.value)
        assert not fakes.leaked(token, str(caught.value))


def test_fingerprints_are_taken(folder: Path, collector: Make) -> None:
    mine = f"k00000000:{7:032x}"
    write(folder, TEXT.replace("client_ip|cidr: 192.0.2.0/28", f"presented_id: [{mine}, short:8]"))
    events = [event(i, client_ip="192.0.2.9", presented_id=mine) for i in range(20)]
    assert collector(loaded(folder)).tick(events, 25) == []


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_files_changed_by_chance_are_read_or_refused_by_file_and_line(data: st.DataObject, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "scanner.yml"
    lines = TEXT.splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        text = data.draw(
            st.one_of(st.just(""), st.text(max_size=20), st.sampled_from(lines), st.just("  x: [1, {a: b}]"))
        )
        lines[at] = data.draw(st.sampled_from([text, lines[at] + text, lines[at][: len(lines[at]) // 2]]))
    path.write_text("\n".join(lines), encoding="utf-8", errors="replace")
    said = f"{path}:"
    try:
        read_exemption(path)
    except RuleError as error:
        said = str(error)
    assert said.startswith(f"{path}:")


def test_there_may_be_no_folder(tmp_path: Path) -> None:
    assert exemptions(tmp_path) == []
    assert exemptions(None) == []
