"""``rules explain``: from an alert's id to the events behind it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bearerwatch.event import Outcome
from bearerwatch.store import episodes
from bearerwatch.store.episodes import Episode

Run = Callable[..., Any]


RULE = """\
title: Refused
name: refused
logsource: {product: bearerwatch, service: auth}
detection:
  refused: {outcome: missing}
  condition: refused
---
title: Many refused
id: 5f0c2d7e-3c1a-4f4e-8d55-0b6f8f3f9d21
status: stable
description: None.
level: medium
falsepositives: [none]
correlation: {type: event_count, rules: [refused], group-by: [client_ip], timespan: 1m, condition: {gte: 20}}
bearerwatch: {version: 1}
"""


@pytest.fixture
def alert(story: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Episode:
    """Thirty refusals of one address, and the alert made of them."""
    monkeypatch.setenv("BEARERWATCH_STATE", str(story.folder))
    monkeypatch.setenv("BEARERWATCH_RULES", str(tmp_path / "rules"))
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "refused.yml").write_text(RULE, encoding="utf-8")
    start = timedelta(minutes=20)
    story.number += 1000
    story.add(
        *(
            story.event(start - timedelta(seconds=i), Outcome.MISSING, client_ip="203.0.113.50", path="/\x1b[31mred")
            for i in range(30)
        )
    )
    first = story.now - start
    episode = Episode(
        id="5ca1ab1e" * 4,
        rule="refused",
        rule_version=1,
        title="Many refused",
        level="medium",
        key={"client_ip": "203.0.113.50"},
        first_hit=first + timedelta(seconds=19),
        last_hit=first + timedelta(seconds=29),
        opened_at=first + timedelta(seconds=19),
        peak=30,
        hits=11,
    )
    with story.state.begin() as tx:
        episodes.save(tx, [episode])
    return episode


def test_an_alert_is_explained_by_its_events(run: Run, alert: Episode) -> None:
    ran = run("rules", "explain", alert.id[:8], "--json")
    assert ran.code == 0
    told = ran.json
    assert (told["rule"], told["hits"], told["remarks"]) == ("refused", 11, [])
    assert (told["first"]["n"], told["peak"]["n"]) == (20, 30)
    (part,) = told["first"]["parts"]
    assert (part["counted"], part["rows"], len(part["events"])) == (20, 20, 20)
    assert "20 events or more of one client_ip within 1 minute" in told["sentence"]
    assert "11 fewer" in told["unless"]


def test_people_are_shown_the_window_and_the_events(run: Run, alert: Episode) -> None:
    ran = run("rules", "explain", alert.id[:8], "--limit", "3")
    assert ran.code == 0
    assert "First hit:" in ran.out
    assert "Peak:" in ran.out
    assert "30 events, 20 needed" in ran.out
    assert "and 27 more events" in ran.out
    assert "█" in ran.out
    assert "\x1b[31mred" not in ran.out


def test_an_alert_whose_events_are_gone_says_so(run: Run, story: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEARERWATCH_STATE", str(story.folder))
    ran = run("rules", "explain", story.episode)  # of three guesses only, fewer than the rule asks for
    assert ran.code == 1
    assert "no event of the lake" in ran.err


def test_wrong_ids_and_missing_rules_are_told(run: Run, story: Any, alert: Episode) -> None:
    assert run("rules", "explain", "00000000").code == 1
    assert run("rules", "explain", "x").code == 2
    with story.state.begin() as tx:
        alert.id, alert.rule = "abad1dea" * 4, "of_a_folder"
        episodes.save(tx, [alert])
    assert "--rules" in run("rules", "explain", "abad1dea").err


def test_no_state_is_told(run: Run, tmp_path: Path) -> None:
    assert run("rules", "explain", "00", "--state", tmp_path).code == 2
