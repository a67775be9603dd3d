"""Bounded counters that say which keys *might* have crossed. They may count too much, never too little.

Times are integer microseconds. What a sketch has forgotten, or never knew, it answers with "might have".
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable
from operator import sub
from typing import Protocol

from bearerwatch.detect.islands import SECOND

__all__ = ["CountSketch", "DistinctSketch", "Sketch"]

_PANES = (4, 16)
_PANE = 16 * SECOND
_BUCKETS = 1 << 15
_MOST_PANES = 128
_MOST_FOGGY = 1024
_FULL = {"H": 0xFFFF, "I": 0xFFFF_FFFF}
_PAIRS = 150_000
_WIDE = (1 << 20) - 1


class Sketch(Protocol):
    """What the detector needs of one."""

    def add(self, key: Hashable, ts: int, weight: int, value: Hashable) -> bool:
        """Take one event in. Returns :meth:`likely`, and true for events from before what is remembered."""

    def likely(self, key: Hashable) -> bool:
        """Whether it is worth asking :meth:`crossed`: a quick look that also never says no too often."""

    def crossed(self, key: Hashable, first: int, last: int) -> bool:
        """Whether some window within ``first … last`` (µs, both included) might reach the threshold."""

    def forget(self, before: int) -> None:
        """Let go of what lies before that time."""


class CountSketch:
    """Sums per key: a fixed array of buckets for every pane, between a quarter and a sixteenth of a window.

    Keys that share a bucket are added up. A window of four panes can touch five, one of sixteen seventeen: it then
    counts a quarter or a sixteenth too much of somebody who is just below the threshold all the time.
    """

    def __init__(self, seconds: int, at_least: int) -> None:
        """For windows of *seconds* and a threshold of *at_least*."""
        self.at_least = at_least
        window = seconds * SECOND
        self.width = max(window // _PANES[1], min(window // _PANES[0], _PANE))
        """µs of a pane: sixteen seconds, for as long as that goes."""
        self._touched = -(-window // self.width) + 1
        """Panes that a window can touch."""
        self._type = "H" if at_least <= _FULL["H"] else "I"
        self._full = _FULL[self._type]
        self._panes: dict[int, array[int]] = {}
        self._totals = array("Q", bytes(8 * _BUCKETS))
        self._low: int | None = None
        self._foggy: set[int] = set()
        self._fog = False

    def add(self, key: Hashable, ts: int, weight: int, value: Hashable = None) -> bool:  # noqa: ARG002 - see Sketch
        """Take one event in that stands for *weight*."""
        number = ts // self.width
        pane = self._panes.get(number)
        if pane is None:
            pane = self._new(number)
            if pane is None:
                return True
        bucket = hash(key) & (_BUCKETS - 1)
        have = pane[bucket]
        new = have + weight
        new = min(new, self._full)
        pane[bucket] = new
        total = self._totals[bucket] = self._totals[bucket] + new - have
        return total >= self.at_least or bool(self._foggy)

    def likely(self, key: Hashable) -> bool:
        """Whether *key* has enough events in all that is remembered."""
        return self._totals[hash(key) & (_BUCKETS - 1)] >= self.at_least or bool(self._foggy)

    def _new(self, number: int) -> array[int] | None:
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
        pane = self._panes[number] = array(self._type, [0]) * _BUCKETS
        return pane

    def _give_up(self, number: int) -> None:
        self._drop(number)
        self._foggy.add(number)
        self._fog = self._fog or len(self._foggy) > _MOST_FOGGY

    def _drop(self, number: int) -> None:
        pane = self._panes.pop(number, None)
        if pane is not None:
            self._totals = array("Q", map(sub, self._totals, pane))

    def crossed(self, key: Hashable, first: int, last: int) -> bool:
        """Whether some window within *first* … *last* might hold *at_least*."""
        low, high = first // self.width, last // self.width
        if self._fog or (self._low is not None and low < self._low):
            return True
        if self._foggy and any(low <= number <= high for number in self._foggy):
            return True
        bucket = hash(key) & (_BUCKETS - 1)
        if self._totals[bucket] < self.at_least:
            return False
        panes = self._panes
        if high - low > _MOST_PANES:  # a long stretch at once, as in a backlog: not worth the counting
            return True
        counts = [pane[bucket] if (pane := panes.get(number)) is not None else 0 for number in range(low, high + 1)]
        window = sum(counts[: self._touched])
        if window >= self.at_least:
            return True
        for i in range(self._touched, len(counts)):
            window += counts[i] - counts[i - self._touched]
            if window >= self.at_least:
                return True
        return False

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

    When there are more pairs than the budget allows, buckets are folded into half as many: keys then share them, which
    counts too much and says so in :attr:`degraded`, but forgets nothing. A fresh sketch is filled beside it and takes
    over once it has seen a whole horizon.
    """

    def __init__(self, seconds: int, at_least: int, *, budget: int = _PAIRS, spare: bool = False) -> None:
        """For windows of *seconds* and a threshold of *at_least*.

        Args:
            seconds: the window.
            at_least: the threshold.
            budget: how many pairs to keep at most.
            spare: it is the fresh one beside another.
        """
        self.at_least = at_least
        self._seconds = seconds
        self._keep = at_least * 2 + 8
        self._budget = max(budget, 4 * self._keep)
        self._spare = spare
        self._mask = _WIDE
        self._buckets: dict[int, dict[Hashable, int]] = {}
        self._pairs = 0
        self._low: int | None = None
        self._latest = 0
        self._next: DistinctSketch | None = None
        self._next_from = 0

    @property
    def degraded(self) -> bool:
        """Whether keys share buckets because there were too many to keep apart."""
        return self._mask != _WIDE

    def add(self, key: Hashable, ts: int, weight: int, value: Hashable) -> bool:
        """Take one value of *key* in."""
        if self._low is not None and ts < self._low:
            return True
        self._latest = max(self._latest, ts)
        bucket = hash(key) & self._mask
        values = self._buckets.get(bucket)
        if values is None:
            values = self._buckets[bucket] = {}
        seen = values.get(value)
        if seen is None:
            values[value] = ts
            self._pairs += 1
            if len(values) > self._keep:
                self._trim(values)
            if self._pairs > self._budget:
                self._fold()
                self._begin_next()
        elif ts > seen:
            values[value] = ts
        if self._next is not None:
            self._next.add(key, ts, weight, value)
        return len(values) >= self.at_least

    def likely(self, key: Hashable) -> bool:
        """Whether *key* has enough values in all that is remembered."""
        return len(self._buckets.get(hash(key) & self._mask, ())) >= self.at_least

    def _trim(self, values: dict[Hashable, int]) -> None:
        """Keep the latest. Whenever a dropped one would count, so do all those kept, and they are enough."""
        latest = sorted(values.items(), key=lambda item: item[1], reverse=True)
        kept = dict(latest[: self.at_least])
        self._pairs -= len(values) - len(kept)
        values.clear()
        values.update(kept)

    def _fold(self) -> None:
        while self._pairs > self._budget * 3 // 4 and self._mask:
            self._mask >>= 1
            old, self._buckets, self._pairs = self._buckets, {}, 0
            for bucket, values in old.items():
                into = self._buckets.get(bucket & self._mask)
                if into is None:
                    self._buckets[bucket & self._mask] = values
                    self._pairs += len(values)
                    continue
                self._pairs -= len(into)
                for value, ts in values.items():
                    into[value] = max(ts, into.get(value, ts))
                self._pairs += len(into)
                if len(into) > self._keep:
                    self._trim(into)

    def crossed(self, key: Hashable, first: int, last: int) -> bool:  # noqa: ARG002 - later values only count too much
        """Whether some window within *first* … *last* might hold *at_least* different values."""
        if self._low is not None and first < self._low:
            return True
        values = self._buckets.get(hash(key) & self._mask)
        if values is None or len(values) < self.at_least:
            return False
        return sum(ts >= first for ts in values.values()) >= self.at_least

    def forget(self, before: int) -> None:
        """Drop values last seen before that time."""
        if self._low is not None and before <= self._low:
            return
        self._low = before
        for bucket in list(self._buckets):
            values = self._buckets[bucket]
            for value in [value for value, ts in values.items() if ts < before]:
                del values[value]
                self._pairs -= 1
            if not values:
                del self._buckets[bucket]
        self._renew(before)

    def _begin_next(self) -> None:
        if self._next is None and not self._spare:
            # All that is later than anything seen so far arrives from now on: from there the fresh one is complete.
            self._next = DistinctSketch(self._seconds, self.at_least, budget=self._budget, spare=True)
            self._next_from = self._latest + 1

    def _renew(self, before: int) -> None:
        fresh = self._next
        if fresh is None:
            return
        fresh.forget(before)
        if before >= self._next_from:
            self._mask, self._buckets, self._pairs = fresh._mask, fresh._buckets, fresh._pairs  # noqa: SLF001 - its own kind
            self._next = None
            if self.degraded:
                self._begin_next()
