"""Rules that are asked once a second: late events, restarts, and what was told stays told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bearerwatch.detect import scheduled
from bearerwatch.detect.ir import Rule
from bearerwatch.detect.ir_needs import Means, path_of
from bearerwatch.detect.ir_windows import Function, Joint, Met, Quantor, Temporal
from bearerwatch.event import AuthEvent
from detect.rules import FAILED, IP, LET_IN, MISSING, every, measured, rule
from detect.world import T0, Collector, event

TOTAL = rule("total", measured(Function.SUM, ("gte", "8"), field="duration_us"))
FEW = rule("few", measured(Function.COUNT, ("lt", "3")))


def failed(at: float, value: int = 4) -> AuthEvent:
    return event(at, "invalid", client_ip="192.0.2.1", duration_us=value)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path, [TOTAL, FEW])
    yield made
    made.close()


def told(box: Collector, one: Rule) -> list[tuple[float, float, int, int, int]]:
    """First and last hit in seconds, peak, hits, and the events shown, of the saved episodes of *one*."""
    return [
        ((e.first_hit - T0).total_seconds(), (e.last_hit - T0).total_seconds(), e.peak, e.hits, e.evidence["events"])
        for e in sorted(box.saved(), key=lambda e: e.first_hit)
        if e.rule == one.name
    ]


def test_these_rules_are_scheduled() -> None:
    assert {path_of(one.correlation) for one in (TOTAL, FEW)} == {Means.SCHEDULED}


@pytest.mark.parametrize("between", ["nothing", "a commit", "a restart", "no memory"])
def test_a_late_event_makes_a_later_anchor_hold(box: Collector, between: str) -> None:
    box.tick([failed(10), failed(11, 1)], 11)
    assert told(box, TOTAL) == []
    if between != "nothing":
        box.commit()
    if between == "a restart":
        box.restart(T0 + timedelta(seconds=12))
    if between == "no memory":
        for evaluator in box.detector._evaluators:
            evaluator.start_over()
    box.tick([failed(5)], 13)
    box.commit()
    assert told(box, TOTAL) == [(10, 11, 9, 2, 3)]


def test_what_was_told_stays_told(box: Collector) -> None:
    """Late events that would have spoken against a hit take nothing back; nor is it counted twice."""
    box.tick([failed(10)], 10)
    box.commit()
    assert told(box, FEW) == [(10, 10, 1, 1, 1)]
    box.tick([failed(8), failed(9), failed(9.5)], 11)
    box.commit()
    assert told(box, FEW) == [(8, 10, 2, 3, 4)], "8 and 9 are hits, and 10 was one"
    box.tick([failed(12)], 12)
    box.commit()
    assert told(box, FEW) == [(8, 10, 2, 3, 4)]


def test_keys_are_asked_about_once_a_second_and_before_a_commit(
    box: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    ask = scheduled.Scheduled._ask
    monkeypatch.setattr(
        scheduled.Scheduled, "_ask", lambda self, standing: (asked.append(standing.rule.name), ask(self, standing))
    )
    box.tick([failed(0)], 0)
    assert asked == ["total", "few"]
    box.tick([failed(0.25)], 0.25)
    box.tick([failed(0.5)], 0.5)
    assert len(asked) == 2
    box.commit()
    assert len(asked) == 4
    box.again(0.75)
    box.commit()
    assert len(asked) == 4, "nothing is new"
    box.tick([failed(1.0)], 1.0)
    assert len(asked) == 4
    box.tick([failed(1.6)], 1.6)
    assert len(asked) == 6


def test_what_can_only_speak_against_is_not_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And counts all the same, even after memory ran out: let-in events are many."""
    either = Joint(Quantor.ANY, (every(0), every(1)))
    nobody = Joint(Quantor.ALL, (either, Joint(Quantor.NONE, (Met(2),))))
    alone = rule("alone", Temporal((FAILED, MISSING, LET_IN), IP, 10, nobody))
    assert path_of(alone.correlation) is Means.SCHEDULED
    asked: list[int] = []
    hits = scheduled.Scheduled._hits
    monkeypatch.setattr(scheduled.Scheduled, "_hits", lambda self, *a, **k: (asked.append(1), hits(self, *a, **k))[1])
    box = Collector(tmp_path, [alone])
    try:
        box.tick([failed(0)], 0)
        box.commit()
        assert len(asked) == 1
        box.tick([event(at, "success", client_ip="192.0.2.1") for at in (20, 21)], 21)
        box.commit()
        assert len(asked) == 1
        for evaluator in box.detector._evaluators:
            evaluator.start_over()
        box.tick([failed(25), failed(40)], 40)
        box.commit()
        assert told(box, alone) == [(0, 0, 1, 1, 1), (40, 40, 1, 1, 1)]
    finally:
        box.close()


def test_an_old_episode_is_found_again(box: Collector) -> None:
    """An event a day late belongs to what was told of that day."""
    box.tick([failed(0), failed(1)], 1)
    box.commit()
    box.tick([failed(90_000)], 90_000)
    box.commit()
    box.restart(T0 + timedelta(seconds=90_001))
    box.tick([failed(0.5)], 90_002)
    box.commit()
    assert told(box, TOTAL) == [(0.5, 1, 12, 2, 3)]


def test_rules_that_take_long_are_told_of(box: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduled, "_SLOW", 0.0)
    box.tick([failed(0)], 0)
    assert box.detector.degraded == ["total", "few"]


def test_many_rows_are_kept_no_longer_than_there_is_room(box: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is dropped is looked up in the lake."""
    monkeypatch.setattr(scheduled, "MOST_ROWS", 20)
    for at in range(0, 100, 10):
        box.tick([event(at + i / 100, "invalid", client_ip=f"10.0.0.{i}", duration_us=1) for i in range(10)], at)
        box.commit()
        ((rows,),) = box.con.execute(f"SELECT count(*) FROM {scheduled.TABLE}").fetchall()
        assert rows <= 40
    box.tick([event(at, "invalid", client_ip="10.0.0.1", duration_us=7) for at in (0.5, 91)], 101)
    box.commit()
    assert told(box, TOTAL) == [(0.5, 10.01, 9, 2, 3), (91, 91, 8, 1, 2)]
