"""Sketches count too much now and then, never too little, whatever comes in whatever batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bearerwatch.detect import pairs, sketch
from bearerwatch.detect.marks import Marks, hashed, mixed
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
Event = tuple[str, int, float, str]


def marks(keys: Iterable[str]) -> Marks:
    return mixed([hashed(list(keys))])


def add(kept: CountSketch | DistinctSketch, some: Sequence[Event]) -> None:
    if some:
        keys, ts, weights, values = zip(*some, strict=True)
        kept.add(marks(keys), np.array(ts, np.int64), np.array(weights, np.float64), hashed(values))


def crossed(kept: CountSketch | DistinctSketch, key: str, first: int, last: int) -> bool:
    """Whether it might have; what says so must be likely, too, where nothing is forgotten."""
    (found,) = kept.crossed(marks([key]), np.array([first], np.int64), np.array([last], np.int64)).tolist()
    return bool(found)


def batches(given: Sequence[Event], size: int) -> list[Sequence[Event]]:
    return [given[i : i + size] for i in range(0, len(given), size)]


@settings(max_examples=100, deadline=None)
@given(
    events,
    st.integers(1, 20),
    st.integers(1, 12) | st.integers(65_530, 65_540) | st.integers(2**32 - 2, 2**32 + 2),
    st.lists(st.integers(0, 100), max_size=3),
    st.sampled_from([1, 7, 100]),
    st.integers(1, 20),
)
def test_counts_are_never_too_small(
    given: list[Event], seconds: int, at_least: int, forgets: list[int], scale: int, size: int
) -> None:
    """Whether a window has four panes or sixteen, and a bucket room for a small number or a large one."""
    seconds *= scale
    heavy = max(1, at_least // 6)
    given = [(key, ts * scale, weight * heavy, value) for key, ts, weight, value in given]
    forgets = sorted(at * scale for at in forgets)
    kept = CountSketch(seconds, at_least)
    window = seconds * SECOND
    for i, some in enumerate(batches(given, size)):
        add(kept, some)
        if i < len(forgets):
            kept.forget(forgets[i] * SECOND)
    for key, ts, _, _ in given:
        for anchor in {e[1] for e in given if e[0] == key and ts <= e[1] <= ts + window}:
            true = sum(w for k, t, w, _ in given if k == key and anchor - window <= t <= anchor)
            if true >= at_least:
                assert crossed(kept, key, ts - window, ts + window)
                if not forgets:
                    assert kept.likely(marks([key])).all()


@settings(max_examples=100, deadline=None)
@given(
    events,
    st.integers(1, 200),
    st.integers(1, 5),
    st.lists(st.integers(0, 7), max_size=6),
    st.lists(st.integers(0, 100), max_size=3),
    st.integers(1, 20),
    st.integers(0, 9),
)
def test_different_values_are_never_too_few(
    given: list[Event], seconds: int, at_least: int, folds: list[int], forgets: list[int], size: int, small: int
) -> None:
    """Also when keys are folded together all the time, and what is new is merged at once or never."""
    kept = DistinctSketch(seconds, at_least)
    window = seconds * SECOND
    forgets.sort()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "_SMALL", small)
        for i, some in enumerate(batches(given, size)):
            add(kept, some)
            for _ in range(folds.count(i)):
                kept.fold()
            if i < len(forgets):
                kept.forget(forgets[i] * SECOND)
    for key, ts, _, _ in given:
        for anchor in {e[1] for e in given if e[0] == key and ts <= e[1] <= ts + window}:
            true = len({v for k, t, _, v in given if k == key and anchor - window <= t <= anchor})
            if true >= at_least:
                assert crossed(kept, key, ts - window, ts + window)


@settings(max_examples=60, deadline=None)
@given(events, st.integers(1, 20))
def test_values_that_are_few_are_ruled_out(given: list[Event], size: int) -> None:
    """As long as nothing is folded, the count over everything is exact."""
    for at_least in (2, 4, 7):
        kept = DistinctSketch(600, at_least)
        for some in batches(given, size):
            add(kept, some)
        for key in "abc":
            assert crossed(kept, key, 0, 600) == (len({e[3] for e in given if e[0] == key}) >= at_least)


@settings(max_examples=60, deadline=None)
@given(events, st.integers(0, 120), st.booleans())
def test_who_had_any_event_is_remembered(given: list[Event], since: int, folded: bool) -> None:
    kept = DistinctSketch(10, 1, valued=False)
    add(kept, given)
    if folded:
        kept.fold()
    for key in "abc":
        latest = max((e[1] for e in given if e[0] == key), default=-1)
        assert crossed(kept, key, since * SECOND, since * SECOND) or latest < since * SECOND
        assert folded or not crossed(kept, key, latest + SECOND, latest + SECOND) or latest < 0


def test_a_quiet_key_is_ruled_out() -> None:
    counts, values = CountSketch(60, 20), DistinctSketch(60, 5)
    for i in range(19):
        for kept in (counts, values):
            add(kept, [("a", i * SECOND, 1, f"v{i % 4}")])
    assert not crossed(counts, "a", 0, 120 * SECOND)
    assert not crossed(values, "a", 0, 120 * SECOND)
    for kept in (counts, values):
        add(kept, [("a", 20 * SECOND, 1, "v5")])
        assert crossed(kept, "a", 0, 120 * SECOND)


def test_someone_just_below_the_threshold_of_a_long_window_is_ruled_out() -> None:
    counts = CountSketch(300, 20)
    add(counts, [("a", i * 17 * SECOND, 1, "") for i in range(100)])
    assert not crossed(counts, "a", 500 * SECOND, 1_500 * SECOND)


def test_counts_of_one_window_are_not_counts_of_another() -> None:
    counts = CountSketch(60, 20)
    add(counts, [("a", i * 20 * SECOND, 1, "") for i in range(40)])
    assert not crossed(counts, "a", 0, 800 * SECOND)


def test_what_is_forgotten_might_have_been() -> None:
    for kept in (CountSketch(60, 20), DistinctSketch(60, 5)):
        kept.forget(1000 * SECOND)
        assert crossed(kept, "a", 900 * SECOND, 1100 * SECOND)
        assert not crossed(kept, "a", 1000 * SECOND, 1100 * SECOND)


def test_values_of_one_key_without_end_cost_no_memory() -> None:
    values = DistinctSketch(600, 5)
    for i in range(40):
        add(values, [("a", (i * 5000 + j) * 1000, 1, f"v{i}.{j}") for j in range(5_000)])
    assert values.size <= 2 * pairs._SMALL * 12
    assert crossed(values, "a", 199_000_000, 200_000_000)


def test_folding_gives_memory_back_and_forgets_nobody() -> None:
    values = DistinctSketch(600, 5)
    for i in range(20):
        add(values, [(f"key{i}.{j}", i * 1_000_000, 1, f"value{j % 7}") for j in range(5_000)])
    full = values.size
    assert full >= 99_900 * 12  # a few keys of the same value share a bucket
    assert not values.degraded
    assert values.fold()
    assert values.degraded
    assert values.size <= full // 2
    add(values, [("hot", 60_000_000 + i, 1, f"v{i}") for i in range(10)])
    assert crossed(values, "hot", 0, 700 * SECOND)
    while values.fold():
        pass
    assert values.size <= 2 * 12 * values._pairs._keep
    assert crossed(values, "hot", 0, 700 * SECOND)


def test_a_folded_sketch_recovers_once_the_flood_is_over() -> None:
    values = DistinctSketch(10, 3)
    add(values, [(f"{i}", 0, 1, "v") for i in range(500)])
    values.fold()
    assert values.degraded
    for second in range(1, 100):
        add(values, [("calm", second * SECOND, 1, "v")])
        values.forget((second - 20) * SECOND)
    assert not values.degraded
    assert values._next is None
    assert not crossed(values, "calm", 90 * SECOND, 99 * SECOND)


def test_clocks_all_over_the_place_cost_certainty_not_memory() -> None:
    counts = CountSketch(10, 5)
    add(counts, [("a", i * 3600 * SECOND, 1, "") for i in range(5_000)])
    assert len(counts._panes) <= sketch._MOST_PANES
    assert crossed(counts, "b", 4000 * 3600 * SECOND, 4000 * 3600 * SECOND)
    assert not crossed(counts, "b", 0, 20 * SECOND) or counts._fog


def test_the_farthest_future_is_given_up_first() -> None:
    counts = CountSketch(10, 5)
    add(counts, [("a", 10**15 + i * counts.width, 1, "") for i in range(sketch._MOST_PANES + 20)])
    add(counts, [("now", 1000, 1, "")] * 5)
    assert crossed(counts, "now", 0, 20 * SECOND)
    assert not crossed(counts, "other", 0, 20 * SECOND)


def test_totals_agree_with_panes() -> None:
    counts = CountSketch(10, 5)
    true: dict[int, float] = defaultdict(float)
    for i in range(200):
        add(counts, [(f"{i % 7}", i * SECOND, 3, ""), (f"{i % 3}", i * SECOND, 1, "")])
        counts.forget((i - 40) * SECOND)
    for pane in counts._panes.values():
        for bucket in np.flatnonzero(pane).tolist():
            true[bucket] += float(pane[bucket])
    assert true
    assert {bucket: counts._totals[bucket] for bucket in np.flatnonzero(counts._totals).tolist()} == true


def test_a_count_beyond_the_counter_is_cut_off() -> None:
    counts = CountSketch(10, 5)
    add(counts, [("a", 0, 2**53, "")] * 3)
    assert crossed(counts, "a", 0, 0)
    assert not crossed(counts, "b", 0, 0)


def test_nobody_can_choose_texts_that_meet() -> None:
    """The numbers of a process are its own: another one has others."""
    import subprocess
    import sys

    program = "from bearerwatch.detect.marks import hashed, mixed; print(mixed([hashed(['192.0.2.1'])])[0])"
    for seed in ("random", "0"):
        found = {
            subprocess.run(
                [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
            ).stdout
            for _ in range(2)
        }
        assert len(found) == 2
