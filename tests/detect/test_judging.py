"""Episodes beside what is marked: who is caught, who is missed, and what is made up."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bearerwatch.detect.judging import Judged, judge
from bearerwatch.detect.truth import Marked, Truth

T0 = datetime(2026, 3, 2, 12, tzinfo=UTC)
MARKED = Marked(
    id="a",
    rules=["guessing"],
    key={"client_ip": ["203.0.113.9", "203.0.113.10"]},
    first=T0,
    last=T0 + timedelta(minutes=5),
)


@dataclass(frozen=True)
class Episode:
    rule: str = "guessing"
    key: dict[str, str] = field(default_factory=lambda: {"client_ip": "203.0.113.9"})
    first_hit: datetime = T0
    last_hit: datetime = T0


def _judged(*episodes: Episode, marked: tuple[Marked, ...] = (MARKED,), rule: str = "guessing") -> Judged:
    truth = Truth(format=1, since=T0, until=T0 + timedelta(days=1), marked=list(marked))
    (verdict,) = judge(episodes, truth, {rule: 60})
    return verdict


def test_an_episode_of_whom_it_is_about_catches_it() -> None:
    verdict = _judged(Episode(), Episode(key={"client_ip": "203.0.113.10"}))
    assert (verdict.marked, verdict.caught, verdict.true, verdict.false) == (1, 1, 2, 0)
    assert (verdict.recall, verdict.precision, verdict.missed) == (1.0, 1.0, [])


@pytest.mark.parametrize(
    "changed",
    [
        {"key": {"client_ip": "203.0.113.11"}},
        {"first_hit": T0 + timedelta(minutes=6, seconds=1), "last_hit": T0 + timedelta(minutes=7)},
        {"first_hit": T0 - timedelta(hours=1), "last_hit": T0 - timedelta(seconds=61)},
    ],
    ids=["another address", "after it and the window", "before"],
)
def test_what_fits_nothing_is_made_up_and_what_nothing_fits_is_missed(changed: dict[str, Any]) -> None:
    made_up = replace(Episode(), **changed)
    verdict = _judged(made_up)
    assert (verdict.caught, verdict.true, verdict.false, verdict.missed) == (0, 0, 1, ["a"])
    assert verdict.made_up == [made_up]
    assert (verdict.recall, verdict.precision) == (0.0, 0.0)


def test_the_window_widens_what_is_marked_on_both_sides() -> None:
    late = Episode(first_hit=T0 + timedelta(minutes=6), last_hit=T0 + timedelta(minutes=9))
    early = Episode(first_hit=T0 - timedelta(minutes=9), last_hit=T0 - timedelta(minutes=1))
    assert _judged(late, early).true == 2


def test_a_field_that_is_not_marked_may_be_anything() -> None:
    assert _judged(Episode(key={"client_ip": "203.0.113.9", "service": "orders"})).true == 1


def test_another_rules_alert_about_an_attack_is_neither_asked_for_nor_false() -> None:
    verdict = _judged(Episode(rule="brute"), rule="brute")
    assert (verdict.marked, verdict.true, verdict.other, verdict.false) == (0, 0, 1, 0)
    assert verdict.recall is verdict.precision is None


def test_about_what_is_no_attack_only_those_named_are() -> None:
    broken = Marked(id="b", also=["expired"], attack=False, key=MARKED.key, first=T0, last=T0)
    assert _judged(Episode(rule="expired"), marked=(broken,), rule="expired").other == 1
    assert _judged(Episode(rule="brute"), marked=(broken,), rule="brute").false == 1
