"""Of a key that brings thousands of events at once some stand for the rest: one key must not cost what all do.

What is left still crosses every threshold that all of it would: events keep their sum, and different values stay
different as far as thresholds go. So alerts open as ever and in time; only how many anchors an episode had, and its
peak, become estimates. Keys with few events are never touched, nor rules that do more than count, nor what a backlog
brings of many windows at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bearerwatch.detect.marks import Floats, Ints, Marks
from bearerwatch.detect.rows import Places

__all__ = ["MOST", "thinned"]

MOST = 1_000
"""Events of one key and step in one tick of which every one is kept."""


def thinned(
    rows: Places, steps: Places, times: Ints, weights: Floats, values: Sequence[Marks | None], *, few: int
) -> tuple[Places, Ints]:
    """The rows that are left, and how many events each stands for (0: as many as it says itself).

    Args:
        rows: where the events are; one that several steps take stands there several times.
        steps: the step each is taken by.
        times: when each was, in µs.
        weights: how many events each stands for.
        values: for each step, the value of each of its rows, in the order they have here; None if it counts none.
        few: how many of each step to keep, at least; of different values twice as many.
    """
    counts: dict[int, int] = {}
    for step, marks in enumerate(values):
        mine = np.flatnonzero(steps == step)
        if len(mine) <= MOST:
            counts |= {row: max(counts.get(row, 0), 0) for row in rows[mine].tolist()}
            continue
        order = np.argsort(times[mine], kind="stable")
        mine = mine[order]
        kept = _spread(len(mine), few)
        if marks is not None:
            # The latest event of each value: seen from behind, the first.
            _, latest = np.unique(marks[order][::-1], return_index=True)
            latest = len(mine) - 1 - np.sort(latest)[::-1]
            kept = np.union1d(kept, latest[_spread(len(latest), 2 * few)])
        stands_for = np.diff(np.cumsum(weights[mine])[kept], prepend=0.0)
        for row, count in zip(rows[mine[kept]].tolist(), stands_for.tolist(), strict=True):
            counts[row] = max(counts.get(row, 0), int(count))
    left = np.array(sorted(counts), np.intp)
    return left, np.array([counts[row] for row in left.tolist()], np.int64)


def _spread(size: int, few: int) -> Places:
    """Up to *few* places, the first and the last among them."""
    return np.unique(np.linspace(0, size - 1, min(size, max(few, 2))).astype(np.intp))
