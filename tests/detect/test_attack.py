"""Somebody means to blind or to break the monitoring: bounded, reported, and what matters is still told at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bearerwatch.detect import evaluation, focus, sketch, thinning
from bearerwatch.detect.ir import EventCount, ValueCount
from bearerwatch.detect.marks import hashed
from bearerwatch.event import AuthEvent
from detect import oracle
from detect.rules import FAILED, FIVE_IN_TEN, LET_IN, rule
from detect.world import Collector, event

Make = Callable[..., Collector]
GUESSED = rule("guessed", ValueCount(FAILED, ("client_ip",), 20, 6, "presented_id"))
TEN_YEARS = 315_360_000


def failed(at: float, ip: str, token: int = 0) -> AuthEvent:
    return event(at, client_ip=ip, presented_id=f"k00000000:{token:032x}")


def exact(box: Collector, which: Any, everything: list[AuthEvent], ip: str) -> None:
    """What is saved of *ip* is what the oracle makes of all events."""
    told = {found[1:] for found in map(tuple, oracle.episodes(which, everything)) if found[0] == (ip,)}
    found = {
        (e.first_hit, e.last_hit, e.peak, e.hits)
        for e in box.saved()
        if e.rule == which.name and e.key == {"client_ip": ip}
    }
    assert found == told
    assert found


def part(box: Collector, name: str) -> Any:
    return getattr(box.detector._evaluation, name)


def rows(box: Collector) -> int:
    ((number,),) = box.con.execute(f"SELECT count(*) FROM {focus.FOCUS}").fetchall()
    return int(number)


# -- one key with nine of ten events -----------------------------------------------------------------------------------


def one_key(box: Collector, ticks: int, size: int) -> list[AuthEvent]:
    """Nine of ten events are of one address; another one attacks meanwhile, as slowly as the rules allow."""
    everything: list[AuthEvent] = []
    for tick in range(ticks):
        at = tick / 4
        batch = [failed(at + i / size / 4, "loud", tick * size + i) for i in range(size)]
        batch += [event(at + i / size / 4, "success", client_ip=f"calm{i}") for i in range(size // 10)]
        batch += [failed(at, "quiet", tick)]
        everything += batch
        changes = box.tick(batch, at + 0.25)
        if tick == 0:
            assert {(c.transition, c.episode.rule) for c in changes} == {
                ("opened", "five_in_ten"),
                ("opened", "guessed"),
            }
        if tick % 4 == 3:
            box.commit()
    return everything


def check_one_key(box: Collector, ticks: int, size: int) -> None:
    everything = one_key(box, ticks, size)
    assert box.detector.degraded == ["five_in_ten", "guessed"]
    box.commit()
    for which in (FIVE_IN_TEN, GUESSED):
        exact(box, which, everything, "quiet")
        (told,) = [found for found in map(tuple, oracle.episodes(which, everything)) if found[0] == ("loud",)]
        (episode,) = [e for e in box.saved() if e.rule == which.name and e.key == {"client_ip": "loud"}]
        assert abs((episode.first_hit - told[1]).total_seconds()) < 0.25
        assert episode.last_hit == told[2]
        assert episode.evidence["events"] == sum(e.client_ip == "loud" for e in everything)
    for second in range(1, 13):  # it is over: the rules are exact again
        box.tick([failed(ticks / 4 + 10 * second, "quiet")], ticks / 4 + 10 * second)
    assert box.detector.degraded == []


def test_one_key_with_nine_of_ten_events_costs_little_and_hides_nobody(
    collector: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thinning, "MOST", 30)
    box = collector(FIVE_IN_TEN, GUESSED, lateness=1)
    check_one_key(box, 8, 120)
    assert rows(box) < 2 * 8 * 90


def test_a_backlog_of_one_key_is_no_flood(collector: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours of a busy address come at once: not one of its events stands for others."""
    monkeypatch.setattr(thinning, "MOST", 30)
    box = collector(FIVE_IN_TEN, GUESSED)
    everything = [failed(number * (0.9 if number % 90 < 40 else 3.0), "busy", number) for number in range(900)]
    everything.sort(key=lambda each: each.ts)
    box.tick(everything, 3_000)
    box.commit()
    assert box.detector.degraded == []
    for which in (FIVE_IN_TEN, GUESSED):
        exact(box, which, everything, "busy")


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_one_key_with_nine_of_ten_of_very_many_events(collector: Make) -> None:
    box = collector(FIVE_IN_TEN, GUESSED)
    check_one_key(box, 120, 20_000)
    assert rows(box) < 2 * 120 * 1_100


events = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 50), st.integers(1, 5), st.sampled_from("uvwxyz")), min_size=1
)


@settings(max_examples=100, deadline=None)
@given(events, st.integers(2, 8), st.integers(0, 20))
def test_what_stands_for_the_rest_adds_up(given: list[tuple[int, int, int, str]], few: int, most: int) -> None:
    """No event is lost from a sum, no value up to the number that decides, and few events are left as they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thinning, "MOST", most)
        steps = np.array([step % 2 for step, _, _, _ in given], np.intp)
        rows = np.arange(len(given))
        times = np.array([ts for _, ts, _, _ in given], np.int64)
        weights = np.array([weight for _, _, weight, _ in given], np.float64)
        marks = hashed([value for _, _, _, value in given])
        left, counts = thinning.thinned(rows, steps, times, weights, [None, marks[steps == 1]], few=few)
    for step in (0, 1):
        mine, kept = np.flatnonzero(steps == step), [i for i, row in enumerate(left) if steps[row] == step]
        said = [int(counts[i]) or int(weights[left[i]]) for i in kept]
        assert sum(said) == int(weights[mine].sum())
        if len(mine) <= most:
            assert [left[i] for i in kept] == mine.tolist()
        else:
            assert len(kept) <= 3 * few
    values = {given[row][3] for row in left if steps[row] == 1}
    assert len(values) >= min(2 * few, len({value for step, _, _, value in given if step % 2 == 1}))


# -- many at once ------------------------------------------------------------------------------------------------------


def many_at_once(box: Collector, number: int) -> None:
    everything = [failed(i / 10, f"a{j}", i) for i in range(6) for j in range(number)]
    heard = [c for i in range(0, len(everything), 20_000) for c in box.tick(everything[i : i + 20_000], 1 + i / 1e6)]
    assert len([c for c in heard if c.transition == "opened"]) == 2 * number
    box.commit()
    assert len(box.saved()) == 2 * number


def test_many_attackers_at_once_are_all_told(collector: Make) -> None:
    many_at_once(collector(FIVE_IN_TEN, GUESSED), 300)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_ten_thousand_attackers_at_once_are_all_told(collector: Make) -> None:
    many_at_once(collector(FIVE_IN_TEN, GUESSED), 10_000)


# -- a flood of keys ---------------------------------------------------------------------------------------------------


def flood(box: Collector, ticks: int, size: int, budget: int) -> None:
    """Every event from an address of its own, and one attacker among them."""
    watches = part(box, "_watches")
    watches._budget = budget
    everything: list[AuthEvent] = []
    for tick in range(ticks):
        at = tick / 8
        batch = [failed(at, f"f{tick}.{i}", i) for i in range(size)]
        attack = [failed(at + i / 100, "attacker", i) for i in range(8)] if tick == ticks - 2 else []
        everything += attack
        heard = box.tick([*batch, *attack], at + 0.25)
        assert watches.size <= budget
        assert {c.episode.rule for c in heard} == ({"guessed"} if attack else set())
    assert box.detector.degraded == ["guessed"]
    box.commit()
    exact(box, GUESSED, everything, "attacker")


def test_a_flood_of_addresses_keeps_to_the_budget_and_hides_nobody(collector: Make) -> None:
    flood(collector(GUESSED), 10, 400, 30_000)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_flood_of_ten_million_addresses_keeps_to_the_budget(collector: Make) -> None:
    flood(collector(GUESSED), 500, 20_000, 16 << 20)


# -- clocks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("off", [TEN_YEARS, -TEN_YEARS])
def test_a_clock_ten_years_off_blinds_nobody(collector: Make, monkeypatch: pytest.MonkeyPatch, off: int) -> None:
    """Its sender is judged in its own time, everybody else in theirs, and no counter grows for it."""
    monkeypatch.setattr(evaluation, "_TIDY_EVERY", 1_000_000)
    wide = rule("wide", EventCount(LET_IN, ("client_ip",), 5, 50))
    box = collector(FIVE_IN_TEN, GUESSED, wide, lateness=1)
    everything: list[AuthEvent] = []
    sizes = []
    for tick in range(14):
        batch = [failed(tick + off, "wrong", tick), failed(tick, "right", tick)]
        everything += batch
        box.tick(batch, tick + 0.5)
        sizes.append(part(box, "_watches").size)
    box.commit()
    for ip in ("wrong", "right"):
        exact(box, FIVE_IN_TEN, everything, ip)
        exact(box, GUESSED, everything, ip)
    assert max(sizes) <= 3 * sizes[6]


# -- keys that are dear to look at -------------------------------------------------------------------------------------


def test_what_is_dear_to_look_at_is_looked_at_later_and_not_forgotten(
    collector: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held back after a look that found nothing; an attack meanwhile is told when it is looked at again, by itself."""
    monkeypatch.setattr(evaluation, "_DEAR", -1.0)
    monkeypatch.setattr(sketch, "_BUCKETS", 1)  # so that everybody is suspected
    box = collector(FIVE_IN_TEN)
    everything = [failed(0, "shy"), *(failed(0, f"a{i}") for i in range(6))]
    assert box.tick(everything, 1) == []
    assert box.detector.degraded == ["five_in_ten"]
    assert rows(box) == 0
    for at in (2, 3):
        everything += (batch := [failed(at + i / 10, "shy") for i in range(3)])
        assert box.tick(batch, at + 0.5) == []
        box.commit()
    assert box.again(5) == []
    (opened,) = box.again(11.5)
    assert opened.episode.key == {"client_ip": "shy"}
    assert [c.transition for c in box.tick([failed(12, "shy")], 12.5) if c.transition != "extended"] == []
    everything.append(failed(12, "shy"))
    box.commit()
    told = {found[1:] for found in map(tuple, oracle.episodes(FIVE_IN_TEN, everything))}
    assert {(e.first_hit, e.last_hit, e.peak, e.hits) for e in box.saved()} == told
