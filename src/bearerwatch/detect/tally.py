"""The times of one key's latest events, step by step: rules out exactly what sketches, made of panes, cannot.

Someone who fails as often as the threshold allows, and no oftener, would else be asked about at every event.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

import numpy as np

from bearerwatch.detect.marks import Floats, Ints
from bearerwatch.detect.rows import Places

__all__ = ["Tally"]

_SPARE = 16
_EVER = -(2**62)


class Tally:
    """Bounded: of a step it keeps twice what the threshold needs, and what lies before counts as enough.

    Of a step that counts different values it knows the events alone, which are never fewer.
    """

    __slots__ = ("_from", "_kept", "_most", "_steps")

    def __init__(self, steps: Sequence[tuple[int, int]]) -> None:
        """Nothing has come yet.

        Args:
            steps: of each step its window in µs and its threshold. One without a window takes a single event anywhere.
        """
        self._steps = steps
        self._most = [2 * at_least + _SPARE for _, at_least in steps]
        self._kept: list[list[tuple[int, int]]] = [[] for _ in steps]
        self._from = [_EVER for _ in steps]
        """Later than the latest event that is not kept."""

    def add(self, step: int, ts: int, weight: int) -> None:
        """Take in an event of step number *step* that stands for *weight*."""
        kept = self._kept[step]
        if ts < self._from[step]:
            return
        insort(kept, (ts, weight))
        if len(kept) > self._most[step]:
            self._from[step] = kept[0][0] + 1
            del kept[0]

    def take(self, steps: Places, times: Ints, weights: Floats) -> None:
        """Take in many events at once: of each the step, when it was, and what it stands for."""
        for step in range(len(self._steps)):
            mine = np.flatnonzero(steps == step)
            if len(mine) > self._most[step]:  # earlier ones would be dropped again
                mine = mine[np.argsort(times[mine], kind="stable")]
                self._from[step] = max(self._from[step], int(times[mine[-self._most[step] - 1]]) + 1)
                mine = mine[-self._most[step] :]
            for ts, weight in zip(times[mine].tolist(), weights[mine].tolist(), strict=True):
                self.add(step, ts, int(weight))

    def forget(self, before: int) -> None:
        """Let go of what lies before that time: nobody will ask about it."""
        for kept in self._kept:
            del kept[: bisect_left(kept, (before, 0))]

    def might_hold(self, low: int, high: int) -> bool:
        """Whether every step is met in some window of its own between *low* and *high* (µs, both included)."""
        return all(self._met(step, low, high) for step in range(len(self._steps)))

    def _met(self, step: int, low: int, high: int) -> bool:
        if low < self._from[step]:
            return True
        kept, (window, at_least) = self._kept[step], self._steps[step]
        begin = at = bisect_left(kept, (low, 0))
        total = 0
        while at < len(kept) and kept[at][0] <= high:
            total += kept[at][1]
            while kept[at][0] - kept[begin][0] > window:
                total -= kept[begin][1]
                begin += 1
            if total >= at_least:
                return True
            at += 1
        return False
