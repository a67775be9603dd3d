"""New events as they pass through a tick: arrays of just the columns that are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bearerwatch.detect.islands import Key
from bearerwatch.detect.marks import Bools, Floats, Ints, Marks, Texts, hashed, mixed

__all__ = ["Batch", "Due", "Held", "Places", "Touched"]

Places = npt.NDArray[np.intp]
"""Where in a batch events are."""


@dataclass(slots=True)
class Touched:
    """What arrived for one key of one rule. Times in µs."""

    first: int
    last: int
    ids: Ints
    """Its rows, by ``rowid`` in the lake's table of rows in memory."""
    counts: Ints
    """For each how many events it stands for; 0 if that is what it says itself."""
    mark: int
    """The key's hash."""
    crossing: bool
    """Whether the sketches say that the rule might hold around these events."""
    steps: Places
    """For the tally, an entry for each step that takes one of its rows: the number of the step, …"""
    times: Ints
    """… the time of the row, …"""
    weights: Floats
    """… and what it stands for."""


@dataclass(slots=True)
class Due:
    """What is still to be evaluated for one key. Times in µs."""

    first: int
    last: int
    ids: Ints
    counts: Ints
    mark: int
    since: int
    """Number of the tick from which on its rows are new."""
    newest: int
    """No event from before that tick is later than this."""
    at: int
    """The collector's clock when it became due."""
    heard: int
    """The collector's clock when the latest of its rows came."""

    def merge(self, other: Touched) -> None:
        """Add what arrived at a later tick."""
        self.first = min(self.first, other.first)
        self.last = max(self.last, other.last)
        self.ids = np.concatenate([self.ids, other.ids])
        self.counts = np.concatenate([self.counts, other.counts])


@dataclass(slots=True)
class Held:
    """A key that is looked at again only after a while, because each look is dear and the last one found nothing."""

    until: int
    """The collector's clock then (µs)."""
    mark: int
    first: int | None = None
    """Time of the earliest of its events since that are to be looked at; None if there is none."""
    last: int = 0

    def add(self, touched: Touched) -> None:
        """More of its events have come."""
        if touched.crossing:
            self.first = touched.first if self.first is None else min(self.first, touched.first)
            self.last = max(self.last, touched.last)


class Batch:
    """The events of one tick, column by column."""

    def __init__(self, found: Mapping[str, Any], columns: int, masks: int) -> None:
        """Take what the query has found.

        Args:
            found: arrays by name: ``id``, ``ts`` (µs), ``let_in``, ``weight``; ``c0`` …, text of which NULL is
                masked; and ``m0`` …, which hold a bit for each selection.
            columns: how many columns of text there are.
            masks: how many columns of bits.
        """
        self.ids: Ints = _plain(found["id"])
        self.ts: Ints = _plain(found["ts"])
        self.weights: Floats = _plain(found["weight"]).astype(np.float64)
        self.let_in = int(np.count_nonzero(_plain(found["let_in"])))
        self._masks: list[Ints] = [_plain(found[f"m{i}"]) for i in range(masks)]
        self._texts: list[Texts] = [_plain(found[f"c{i}"]) for i in range(columns)]
        self._unknown: list[Bools | None] = [_unknown(found[f"c{i}"]) for i in range(columns)]
        self._hashed: dict[int, Marks] = {}
        self._keys: dict[tuple[int, ...], Marks] = {}
        self._takers: dict[tuple[int, tuple[int, ...]], Places] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def marks(self, column: int) -> Marks:
        """The hashes of one column of text."""
        if column not in self._hashed:
            self._hashed[column] = hashed(self._texts[column])
        return self._hashed[column]

    def keys(self, columns: tuple[int, ...]) -> Marks:
        """The hashes of several columns together."""
        if columns not in self._keys:
            self._keys[columns] = mixed([self.marks(column) for column in columns])
        return self._keys[columns]

    def taken(self, selection: int, columns: tuple[int, ...], bits: int) -> Places:
        """Where the events are that *selection* wants and of which all of *columns* is known.

        Args:
            selection: its number.
            columns: those of the key and of the value.
            bits: how many selections share one column of bits.
        """
        wanted = (selection, columns)
        if wanted not in self._takers:
            here = (self._masks[selection // bits] >> (selection % bits)) & 1 != 0
            for column in columns:
                unknown = self._unknown[column]
                if unknown is not None:
                    here &= ~unknown
            self._takers[wanted] = np.flatnonzero(here)
        return self._takers[wanted]

    def key(self, columns: Sequence[int], at: int) -> Key:
        """The texts of several columns of one event."""
        return tuple(str(self._texts[column][at]) for column in columns)


def _plain(column: Any) -> Any:
    return column.data if isinstance(column, np.ma.MaskedArray) else column


def _unknown(column: Any) -> Bools | None:
    return np.ma.getmaskarray(column) if isinstance(column, np.ma.MaskedArray) and np.ma.is_masked(column) else None
