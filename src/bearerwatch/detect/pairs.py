"""A set of pairs of a key and a value, each with the latest time it was seen, as sorted arrays.

A pair is one number: 26 bits of the key's hash in front, 38 of the value's behind. So the pairs of one key lie side by
side, and how many there are is the distance between two binary searches. Two of twenty values meet in 38 bits once in
10⁹ keys; keys that meet in 26 are counted together.

What is new goes to a small array that is merged into a middle one, and that into the large one, each when it has
become a sizeable part of it: a log-structured merge (O'Neil et al., 1996), so that a batch costs what it is large, not
what there is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bearerwatch.detect.marks import Bools, Ints, Marks

__all__ = ["Pairs"]

_KEY_BITS = 26
_ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_LEVELS = 3
_SMALL = 4_096
_PART = 12
_SPARE = 8

Panes = npt.NDArray[np.int32]
_EARLIEST, _LAST = np.iinfo(np.int32).min, np.iinfo(np.int32).max


class _Run:
    """Sorted pairs, and for each the number of the pane it was last seen in."""

    __slots__ = ("last", "pairs")

    def __init__(self) -> None:
        self.pairs: Marks = np.empty(0, np.uint64)
        self.last: Panes = np.empty(0, np.int32)


class Pairs:
    """No more per key than are needed to say whether it has *enough*."""

    def __init__(self, enough: int, width: int, *, valued: bool = True) -> None:
        """Nothing has come yet.

        Args:
            enough: how many of one key decide.
            width: µs; times are told apart no finer.
            valued: whether there are values; else it is a set of keys, told apart by all 64 bits.
        """
        self._enough = enough
        self._keep = 2 * enough + _SPARE
        self._width = width
        self._whole = _KEY_BITS if valued else 64
        self._bits = self._whole
        self._runs = [_Run() for _ in range(_LEVELS)]  # the largest first
        self._base: int | None = None
        self._low = _EARLIEST

    def __len__(self) -> int:
        return sum(len(run.pairs) for run in self._runs)

    @property
    def size(self) -> int:
        """Bytes it holds."""
        return sum(run.pairs.nbytes + run.last.nbytes for run in self._runs)

    @property
    def folded(self) -> bool:
        """Whether keys share buckets."""
        return self._bits < self._whole

    def _keys(self, keys: Marks) -> Marks:
        return keys & ~self._below(self._bits)

    @staticmethod
    def _below(bits: int) -> np.uint64:
        """All bits behind the first *bits*."""
        return _ALL >> np.uint64(bits) if bits < 64 else np.uint64(0)

    def _panes(self, ts: Ints) -> Panes:
        if self._base is None:
            self._base = int(ts[0]) // self._width
        return np.clip(ts // self._width - self._base, _EARLIEST, _LAST).astype(np.int32)

    def add(self, keys: Marks, values: Marks | None, ts: Ints) -> None:
        """Take pairs in, with their times."""
        pairs, last = self._keys(keys), self._panes(ts)
        if values is not None:
            pairs |= values >> np.uint64(_KEY_BITS)
        order = np.lexsort((last, pairs)) if last.min() != last.max() else np.argsort(pairs)
        pairs, last = pairs[order], last[order]
        latest = np.flatnonzero(np.append(pairs[1:] != pairs[:-1], True))  # the last of equal ones is the latest
        pairs, last = pairs[latest], last[latest]
        for run in self._runs:
            if len(run.pairs):
                at = np.searchsorted(run.pairs, pairs)
                known = run.pairs[np.minimum(at, len(run.pairs) - 1)] == pairs
                place = at[known]
                run.last[place] = np.maximum(run.last[place], last[known])
                pairs, last = pairs[~known], last[~known]
            if not len(pairs):
                return
        self._insert(_LEVELS - 1, pairs, last)
        for level in range(_LEVELS - 1, 0, -1):
            if len(self._runs[level].pairs) > _SMALL + len(self._runs[level - 1].pairs) // _PART:
                run, self._runs[level] = self._runs[level], _Run()
                self._insert(level - 1, run.pairs, run.last)
                self._trim(self._runs[level - 1])

    def _insert(self, level: int, pairs: Marks, last: Panes) -> None:
        run = self._runs[level]
        at = np.searchsorted(run.pairs, pairs)
        run.pairs, run.last = np.insert(run.pairs, at, pairs), np.insert(run.last, at, last)

    def _trim(self, run: _Run) -> None:
        """Drop what is forgotten, and of keys with far more than enough all but the latest.

        Whenever a dropped one would count, so do all those kept, and they are enough.
        """
        if self._low > _EARLIEST:
            kept = run.last >= self._low
            if not kept.all():
                run.pairs, run.last = run.pairs[kept], run.last[kept]
        if len(run.pairs) <= self._keep:
            return
        pairs = run.pairs
        # Sorted: whoever has the same key so many places further on has more than are kept.
        crowded = self._keys(pairs[self._keep :]) == self._keys(pairs[: -self._keep])
        if not crowded.any():
            return
        many = np.unique(self._keys(pairs[: -self._keep][crowded]))
        keys = self._keys(pairs)
        among = np.flatnonzero(many[np.minimum(np.searchsorted(many, keys), len(many) - 1)] == keys)
        order = among[np.lexsort((-run.last[among].astype(np.int64), keys[among]))]
        begins = np.flatnonzero(np.append(True, keys[order][1:] != keys[order][:-1]))
        rank = np.arange(len(order)) - np.repeat(begins, np.diff(np.append(begins, len(order))))
        kept = np.ones(len(pairs), np.bool_)
        kept[order[rank >= self._enough]] = False
        run.pairs, run.last = pairs[kept], run.last[kept]

    def reach(self, keys: Marks) -> Bools:
        """Which of *keys* have enough."""
        total = np.zeros(len(keys), np.int64)
        for start, end in self._spans(keys):
            total += end - start
        found: Bools = total >= self._enough
        return found

    def reach_since(self, keys: Marks, since: Ints) -> Bools:
        """Which of *keys* have enough that were seen at the time given with each (µs), or later."""
        if self._base is None:
            return np.zeros(len(keys), np.bool_)
        low = self._panes(since)
        total = np.zeros(len(keys), np.int64)
        for run, (start, end) in zip(self._runs, self._spans(keys), strict=True):
            wide = end - start
            if not wide.any():
                continue
            # One row after the other: for each key the places from its start to its end.
            of = np.repeat(np.arange(len(keys)), wide)
            place = np.arange(len(of)) - np.repeat(np.cumsum(wide) - wide, wide) + np.repeat(start, wide)
            total += np.bincount(of[run.last[place] >= low[of]], minlength=len(keys))
        found: Bools = total >= self._enough
        return found

    def _spans(self, keys: Marks) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
        low = self._keys(keys)
        high = low | self._below(self._bits)
        return [
            (np.searchsorted(run.pairs, low, "left"), np.searchsorted(run.pairs, high, "right")) for run in self._runs
        ]

    def forget(self, before: int) -> None:
        """Drop pairs last seen before that time, when there is enough of that to be worth it."""
        if self._base is None:
            return
        self._low = int(np.clip(before // self._width - self._base, _EARLIEST, _LAST))
        for run in self._runs:
            if len(run.pairs) and np.count_nonzero(run.last < self._low) > len(run.pairs) // 8:
                self._trim(run)

    def fold(self) -> bool:
        """Let keys share buckets until half as many pairs are left; returns whether there was anything to do."""
        had, begun = len(self), self._bits
        pairs = np.concatenate([run.pairs for run in self._runs])
        last = np.concatenate([run.last for run in self._runs])
        self._runs = [_Run() for _ in range(_LEVELS)]
        whole = self._runs[0]
        self._bits = min(self._bits, max((had // 2 // self._keep).bit_length() - 1, 0))
        pairs = self._keys(pairs) | (pairs & self._below(self._whole))
        order = np.lexsort((last, pairs))
        pairs, last = pairs[order], last[order]
        latest = np.append(pairs[1:] != pairs[:-1], True) if len(pairs) else np.empty(0, np.bool_)
        whole.pairs, whole.last = pairs[latest], last[latest]
        self._trim(whole)
        return self._bits < begun or len(whole.pairs) < had
