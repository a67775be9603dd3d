"""Bounded counters that say which keys *might* have crossed. They may count too much, never too little.

Keys and values come as 64-bit hashes (:mod:`~bearerwatch.detect.marks`), events as arrays of equal length, times as
integer microseconds. What a sketch has forgotten, or never knew, it answers with "might have".
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bearerwatch.detect.islands import SECOND
from bearerwatch.detect.marks import Bools, Floats, Ints, Marks
from bearerwatch.detect.pairs import Pairs

__all__ = ["CountSketch", "DistinctSketch", "Sketch"]

_PANES = (4, 16)
_PANE = 16 * SECOND
_BUCKETS = 1 << 17
_MOST_PANES = 128
_MOST_FOGGY = 1024
_MOST_STRETCHES = 64
_FULL: tuple[tuple[Any, float], ...] = ((np.uint16, 0xFFFF), (np.uint32, 0xFFFF_FFFF), (np.float64, 2.0**53))


class Sketch(Protocol):
    """What the detector needs of one."""

    def add(self, keys: Marks, ts: Ints, weights: Floats, values: Marks | None) -> None:
        """Take events in."""

    def likely(self, keys: Marks) -> Bools:
        """For which of *keys* it is worth asking :meth:`crossed`: a quick look that also never says no too often."""

    def crossed(self, keys: Marks, first: Ints, last: Ints) -> Bools:
        """For which of *keys* some window within its ``first … last`` (µs, both included) might reach the threshold."""

    def forget(self, before: int) -> None:
        """Let go of what lies before that time."""

    @property
    def size(self) -> int:
        """Bytes it holds."""


class CountSketch:
    """Sums per key: a fixed array of buckets for every pane, between a quarter and a sixteenth of a window.

    Keys that share a bucket are added up. A window of four panes can touch five, one of sixteen seventeen: it then
    counts a quarter or a sixteenth too much of somebody who is just below the threshold all the time.
    """

    def __init__(self, seconds: int, at_least: float, *, whole: bool = True) -> None:
        """For windows of *seconds* and a threshold of *at_least*.

        Args:
            seconds: the window.
            at_least: the threshold.
            whole: whether weights are whole numbers of 1 or more; else any that are not negative.
        """
        self.at_least = at_least
        window = seconds * SECOND
        self.width = max(window // _PANES[1], min(window // _PANES[0], _PANE))
        """µs of a pane: sixteen seconds, for as long as that goes."""
        self._touched = -(-window // self.width) + 1
        """Panes that a window can touch."""
        self._type, self._full = next(
            (kind, full) for kind, full in _FULL if (whole and at_least <= full) or kind is np.float64
        )
        # Sums are made in another order here than in SQL: fractions may come out a hair smaller.
        self._enough = at_least if whole else at_least - abs(at_least) * 1e-9
        self._mask = np.uint64(_BUCKETS - 1)
        self._panes: dict[int, npt.NDArray[Any]] = {}
        self._totals = np.zeros(_BUCKETS)
        self._scratch = np.zeros(_BUCKETS)
        self._low: int | None = None
        self._foggy: set[int] = set()
        self._fog = False

    @property
    def size(self) -> int:
        """Bytes it holds."""
        return sum(pane.nbytes for pane in self._panes.values()) + self._totals.nbytes + self._scratch.nbytes

    def add(self, keys: Marks, ts: Ints, weights: Floats, values: Marks | None = None) -> None:  # noqa: ARG002 - see Sketch
        """Take events in that stand for *weights*."""
        if not len(keys):
            return
        numbers = ts // self.width
        buckets = (keys & self._mask).astype(np.intp)
        low = int(numbers.min())
        if low == int(numbers.max()):
            self._fill(low, buckets, weights)
            return
        for number in np.unique(numbers).tolist():
            here = numbers == number
            self._fill(number, buckets[here], weights[here])

    def _fill(self, number: int, buckets: npt.NDArray[np.intp], weights: Floats) -> None:
        pane = self._panes.get(number)
        if pane is None:
            pane = self._new(number)
            if pane is None:
                return
        np.add.at(self._scratch, buckets, weights)
        more = self._scratch[buckets]
        self._scratch[buckets] = 0
        old = pane[buckets].astype(np.float64)
        new = np.minimum(old + more, self._full)
        # A bucket that stands there twice is written twice, the same both times.
        pane[buckets] = new
        self._totals[buckets] += new - old

    def likely(self, keys: Marks) -> Bools:
        """Which of *keys* have enough events in all that is remembered."""
        if self._foggy:
            return np.ones(len(keys), np.bool_)
        found: Bools = self._totals[(keys & self._mask).astype(np.intp)] >= self._enough
        return found

    def _new(self, number: int) -> npt.NDArray[Any] | None:
        if self._low is not None and number < self._low:
            return None
        if number in self._foggy or self._fog:
            return None
        if len(self._panes) >= _MOST_PANES:
            # Times all over the place, such as a sender whose clock is ahead: the farthest pane is given up.
            farthest = max(self._panes)
            self._give_up(max(farthest, number))
            if number > farthest:
                return None
        pane = self._panes[number] = np.zeros(_BUCKETS, self._type)
        return pane

    def _give_up(self, number: int) -> None:
        self._drop(number)
        self._foggy.add(number)
        self._fog = self._fog or len(self._foggy) > _MOST_FOGGY

    def _drop(self, number: int) -> None:
        pane = self._panes.pop(number, None)
        if pane is not None:
            self._totals -= pane

    def crossed(self, keys: Marks, first: Ints, last: Ints) -> Bools:
        """For which of *keys* some window within its ``first … last`` might hold *at_least*."""
        low, high = first // self.width, last // self.width
        if self._fog:
            return np.ones(len(keys), np.bool_)
        buckets = (keys & self._mask).astype(np.intp)
        found: Bools = self._totals[buckets] >= self._enough
        if self._low is not None:
            found |= low < self._low
        for number in self._foggy:
            found |= (low <= number) & (number <= high)
        doubtful = np.flatnonzero(found)
        if not len(doubtful):
            return found
        stretches = np.unique(np.stack([low[doubtful], high[doubtful]]), axis=1)
        if stretches.shape[1] > _MOST_STRETCHES:  # times all over the place: not worth the counting
            return found
        for start, end in stretches.T.tolist():
            if self._unknown(start, end) or end - start > _MOST_PANES:
                continue  # a long stretch at once, as in a backlog: not worth the counting either
            here = doubtful[(low[doubtful] == start) & (high[doubtful] == end)]
            found[here] = self._reached(buckets[here], start, end)
        return found

    def _unknown(self, start: int, end: int) -> bool:
        return (self._low is not None and start < self._low) or any(start <= n <= end for n in self._foggy)

    def _reached(self, buckets: npt.NDArray[np.intp], start: int, end: int) -> Bools:
        """Whether some window of panes between *start* and *end* reaches the threshold."""
        window = np.zeros(len(buckets))
        found = np.zeros(len(buckets), np.bool_)
        for number in range(start, end + 1):
            for at, sign in ((number, 1.0), (number - self._touched, -1.0)):
                pane = self._panes.get(at) if at >= start else None
                if pane is not None:
                    window += sign * pane[buckets]
            found |= window >= self._enough
        return found

    def forget(self, before: int) -> None:
        """Drop whole panes before that time."""
        low = before // self.width
        if self._low is not None and low <= self._low:
            return
        self._low = low
        for number in [number for number in self._panes if number < low]:
            self._drop(number)
        self._foggy = {number for number in self._foggy if number >= low}
        if not self._foggy:
            self._fog = False


class DistinctSketch:
    """Different values per key, each with the latest time it was seen; no more per bucket than are needed to decide.

    When there are more pairs than may be, buckets are folded into half as many (:meth:`fold`): keys then share them,
    which counts too much and says so in :attr:`degraded`, but forgets nothing. A fresh sketch is filled beside it and
    takes over once it has seen a whole horizon.
    """

    def __init__(self, seconds: int, at_least: int, *, valued: bool = True, spare: bool = False) -> None:
        """For windows of *seconds* and a threshold of *at_least*.

        Args:
            seconds: the window.
            at_least: the threshold.
            valued: whether values are counted; else it is remembered which keys had any event, and *at_least* is 1.
            spare: it is the fresh one beside another.
        """
        self.at_least = at_least
        self._seconds = seconds
        self._valued = valued
        self._spare = spare
        self._pairs = Pairs(at_least, max(seconds // 64, 1) * SECOND, valued=valued)
        self._low: int | None = None
        self._latest = 0
        self._next: DistinctSketch | None = None
        self._next_from = 0

    @property
    def size(self) -> int:
        """Bytes it holds."""
        return self._pairs.size + (self._next.size if self._next is not None else 0)

    @property
    def degraded(self) -> bool:
        """Whether keys share buckets because there were too many to keep apart."""
        return self._pairs.folded

    def add(self, keys: Marks, ts: Ints, weights: Floats, values: Marks | None = None) -> None:
        """Take values in, one of each of *keys*."""
        if self._low is not None:
            here = ts >= self._low
            if not here.all():
                keys, ts, weights = keys[here], ts[here], weights[here]
                values = values[here] if values is not None else None
        if not len(keys):
            return
        self._latest = max(self._latest, int(ts.max()))
        self._pairs.add(keys, values if self._valued else None, ts)
        if self._next is not None:
            self._next.add(keys, ts, weights, values)

    def likely(self, keys: Marks) -> Bools:
        """Which of *keys* have enough values in all that is remembered."""
        return self._pairs.reach(keys)

    def crossed(self, keys: Marks, first: Ints, last: Ints) -> Bools:  # noqa: ARG002 - later values only count too much
        """For which of *keys* some window within its ``first … last`` might hold *at_least* different values."""
        found = self.likely(keys)
        doubtful = np.flatnonzero(found)
        if len(doubtful):
            found[doubtful] = self._pairs.reach_since(keys[doubtful], first[doubtful])
        if self._low is not None:
            found |= first < self._low
        return found

    def fold(self) -> bool:
        """Take half the memory, or less, at the price of certainty; returns whether that could be done.

        Where the fresh one is the larger, that is folded.
        """
        if self._next is not None and self._next._pairs.size > self._pairs.size:  # noqa: SLF001 - its own kind
            return self._next.fold()
        if not self._pairs.fold():
            return False
        if self._next is None and not self._spare:
            # All that is later than anything seen so far arrives from now on: from there the fresh one is complete.
            self._begin_next()
        return True

    def forget(self, before: int) -> None:
        """Drop values last seen before that time."""
        if self._low is not None and before <= self._low:
            return
        self._low = before
        self._pairs.forget(before)
        self._renew(before)

    def _begin_next(self) -> None:
        self._next = DistinctSketch(self._seconds, self.at_least, valued=self._valued, spare=True)
        self._next_from = self._latest + 1

    def _renew(self, before: int) -> None:
        fresh = self._next
        if fresh is None:
            return
        fresh.forget(before)
        if before >= self._next_from:
            self._pairs, self._next = fresh._pairs, None  # noqa: SLF001 - its own kind
            if self.degraded:
                self._begin_next()
