from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bearerwatch.detect.tally import Tally

events = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 60), st.integers(1, 3)), max_size=60)


def true(happened: list[tuple[int, int, int]], steps: list[tuple[int, int]], low: int, high: int) -> bool:
    """By counting every window there is."""

    def met(step: int) -> bool:
        window, at_least = steps[step]
        mine = [(ts, weight) for number, ts, weight in happened if number == step and low <= ts <= high]
        return any(sum(w for ts, w in mine if anchor - window <= ts <= anchor) >= at_least for anchor, _ in mine)

    return all(map(met, range(len(steps))))


@given(events, st.tuples(st.integers(1, 20), st.integers(1, 8)), st.booleans(), st.integers(0, 60), st.integers(0, 40))
def test_what_holds_is_never_ruled_out_and_what_does_not_always_while_all_is_kept(
    happened: list[tuple[int, int, int]], first: tuple[int, int], two: bool, low: int, length: int
) -> None:
    steps = [first, (0, 1)] if two else [first]
    happened = [event for event in happened if event[0] < len(steps)]
    tally = Tally(steps)
    for event in happened:
        tally.add(*event)
    holds = true(happened, steps, low, low + length)
    if holds or max(map(len, tally._kept)) < min(tally._most):
        assert tally.might_hold(low, low + length) == holds


def test_it_is_bounded_and_says_so_of_what_it_does_not_keep() -> None:
    tally = Tally([(10, 5)])
    for ts in range(0, 10_000, 10):
        tally.add(0, ts, 1)
    tally.add(0, 3, 1)  # late, from before what is kept
    assert len(tally._kept[0]) == 26
    assert tally.might_hold(0, 20)
    assert not tally.might_hold(9_900, 10_000)
    for ts in range(9_991, 9_995):
        tally.add(0, ts, 1)
    assert tally.might_hold(9_900, 10_000)


def test_what_is_forgotten_counts_no_more() -> None:
    tally = Tally([(10, 2)])
    for ts in (5, 9, 10):
        tally.add(0, ts, 1)
    tally.forget(10)
    assert not tally.might_hold(0, 30)
    tally.add(0, 20, 1)
    assert tally.might_hold(10, 30)


def test_a_window_includes_both_its_ends() -> None:
    tally = Tally([(10, 2)])
    tally.add(0, 0, 1)
    tally.add(0, 10, 1)
    assert tally.might_hold(0, 10)
    assert not tally.might_hold(1, 10)
    assert not tally.might_hold(0, 9)
