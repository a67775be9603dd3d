from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bearerwatch.detect import sketch
from bearerwatch.detect.sketch import SECOND, CountSketch, DistinctSketch

events = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(0, 120 * 4).map(lambda quarter: quarter * SECOND // 4),
        st.integers(1, 5),
        st.sampled_from("uvwxyz"),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(
    events,
    st.integers(1, 20),
    st.integers(1, 12) | st.integers(65_530, 65_540),
    st.lists(st.integers(0, 100), max_size=3),
    st.sampled_from([1, 7, 100]),
)
def test_counts_are_never_too_small(
    given: list[tuple[str, int, int, str]], seconds: int, at_least: int, forgets: list[int], scale: int
) -> None:
    """Whether a window has four panes or sixteen, and a bucket room for a small number or a large one."""
    seconds *= scale
    heavy = max(1, at_least // 6)
    given = [(key, ts * scale, weight * heavy, value) for key, ts, weight, value in given]
    forgets = [at * scale for at in forgets]
    kept = CountSketch(seconds, at_least)
    window = seconds * SECOND
    for i, (key, ts, weight, _) in enumerate(given):
        kept.add(key, ts, weight)
        if i < len(forgets):
            kept.forget(sorted(forgets)[i] * SECOND)
    for key, ts, _, _ in given:
        for anchor in {e[1] for e in given if e[0] == key and ts <= e[1] <= ts + window}:
            true = sum(w for k, t, w, _ in given if k == key and anchor - window <= t <= anchor)
            if true >= at_least:
                assert kept.crossed(key, ts - window, ts + window)


@settings(max_examples=150, deadline=None)
@given(events, st.integers(1, 20), st.integers(1, 5), st.integers(1, 40), st.lists(st.integers(0, 100), max_size=3))
def test_different_values_are_never_too_few(
    given: list[tuple[str, int, int, str]], seconds: int, at_least: int, budget: int, forgets: list[int]
) -> None:
    """Also with a budget so small that keys are folded together all the time."""
    kept = DistinctSketch(seconds, at_least)
    kept._budget = budget
    kept._keep = at_least
    window = seconds * SECOND
    for i, (key, ts, _, value) in enumerate(given):
        kept.add(key, ts, 1, value)
        if i < len(forgets):
            kept.forget(sorted(forgets)[i] * SECOND)
    for key, ts, _, _ in given:
        for anchor in {e[1] for e in given if e[0] == key and ts <= e[1] <= ts + window}:
            true = len({v for k, t, _, v in given if k == key and anchor - window <= t <= anchor})
            if true >= at_least:
                assert kept.crossed(key, ts - window, ts + window)


def test_a_quiet_key_is_ruled_out() -> None:
    counts, values = CountSketch(60, 20), DistinctSketch(60, 5)
    for i in range(19):
        counts.add(("a",), i * SECOND, 1)
        values.add(("a",), i * SECOND, 1, f"v{i % 4}")
    assert not counts.crossed(("a",), 0, 120 * SECOND)
    assert not values.crossed(("a",), 0, 120 * SECOND)
    counts.add(("a",), 20 * SECOND, 1)
    values.add(("a",), 20 * SECOND, 1, "v5")
    assert counts.crossed(("a",), 0, 120 * SECOND)
    assert values.crossed(("a",), 0, 120 * SECOND)


def test_someone_just_below_the_threshold_of_a_long_window_is_ruled_out() -> None:
    counts = CountSketch(300, 20)
    for i in range(100):
        counts.add(("a",), i * 17 * SECOND, 1)
    assert not counts.crossed(("a",), 500 * SECOND, 1_500 * SECOND)


def test_counts_of_one_window_are_not_counts_of_another() -> None:
    counts = CountSketch(60, 20)
    for i in range(40):
        counts.add(("a",), i * 20 * SECOND, 1)
    assert not counts.crossed(("a",), 0, 800 * SECOND)


def test_what_is_forgotten_might_have_been() -> None:
    counts, values = CountSketch(60, 20), DistinctSketch(60, 5)
    for kept in (counts, values):
        kept.forget(1000 * SECOND)
        assert kept.crossed(("a",), 900 * SECOND, 1100 * SECOND)
        assert not kept.crossed(("a",), 1000 * SECOND, 1100 * SECOND)


def test_memory_is_bounded_whatever_arrives() -> None:
    values = DistinctSketch(600, 5, budget=2_000)
    for i in range(50_000):
        values.add((f"key{i}",), i * 1000, 1, f"value{i % 7}")
    assert sum(len(found) for found in values._buckets.values()) == values._pairs <= 2_000
    assert values.degraded
    assert values._next is not None
    assert values._next._pairs <= 2_000
    for i in range(10):  # what counts is never lost
        values.add(("hot",), 60_000_000 + i, 1, f"v{i}")
    assert values.crossed(("hot",), 0, 700 * SECOND)


def test_a_folded_sketch_recovers_once_the_flood_is_over() -> None:
    values = DistinctSketch(10, 3, budget=100)
    for i in range(500):
        values.add((i,), 0, 1, "v")
    assert values.degraded
    for second in range(1, 100):
        values.add(("calm",), second * SECOND, 1, "v")
        values.forget((second - 20) * SECOND)
    assert not values.degraded
    assert values._next is None
    assert not values.crossed(("calm",), 90 * SECOND, 99 * SECOND)


def test_clocks_all_over_the_place_cost_certainty_not_memory() -> None:
    counts = CountSketch(10, 5)
    for i in range(5_000):
        counts.add(("a",), i * 3600 * SECOND, 1)
    assert len(counts._panes) <= sketch._MOST_PANES
    assert counts.crossed(("b",), 4000 * 3600 * SECOND, 4000 * 3600 * SECOND)
    assert not counts.crossed(("b",), 0, 20 * SECOND) or counts._fog


def test_the_farthest_future_is_given_up_first() -> None:
    counts = CountSketch(10, 5)
    for i in range(sketch._MOST_PANES + 20):
        counts.add(("a",), 10**15 + i * counts.width, 1)
    for _ in range(5):
        counts.add(("now",), 1000, 1)
    assert counts.crossed(("now",), 0, 20 * SECOND)
    assert not counts.crossed(("other",), 0, 20 * SECOND)


def test_totals_agree_with_panes() -> None:
    counts = CountSketch(10, 5)
    true: dict[int, int] = defaultdict(int)
    for i in range(200):
        counts.add(i % 7, i * SECOND, 3)
        counts.forget((i - 40) * SECOND)
    for pane in counts._panes.values():
        for bucket, number in enumerate(pane):
            true[bucket] += number
    assert all(counts._totals[bucket] == number for bucket, number in true.items())


def test_a_count_beyond_the_counter_is_cut_off() -> None:
    counts = CountSketch(10, 5)
    counts.add("a", 0, 2**53)
    counts.add("a", 0, 2**53)
    assert counts.crossed("a", 0, 0)
    with pytest.raises(AssertionError):
        assert counts.crossed("b", 0, 0)
