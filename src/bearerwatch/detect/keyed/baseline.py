"""More of a key than its own past explains, see :class:`~bearerwatch.detect.ir_keyed.Baseline`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect.ir_keyed import Baseline
from bearerwatch.detect.keyed.kind import Held, Kind, Sighting
from bearerwatch.detect.keyed.lives import MOST, Lives, oldest

__all__ = ["BaselineLive"]

_PANES = 4
"""Panes of a key whose counts are kept: those that an event can come late for, and one before."""


class BaselineLive(Kind):
    """Sightings are ``(key, pane)``. Of a block only a peak that can matter is kept: that is hardly ever."""

    def __init__(self, rule: Baseline) -> None:
        """Nothing is known."""
        super().__init__(rule.settle, rule.block * rule.blocks)
        selected = sql.step_where(rule.selection, rule.group_by)
        known = sql.step_where(rule.known_by, rule.group_by)
        self.select = []
        self.counted = f"CAST(sum({sql.WEIGHT}) FILTER ({selected}) AS BIGINT), coalesce(bool_or({known}), FALSE)"
        self.where = f"(({selected}) OR ({known}))"
        self.anchors = f"({selected})"
        self._rule = rule
        self._panes = rule.block // rule.settle
        self._lives = Lives(self.kept)
        self._span = -(-rule.span // rule.settle)
        self._counts: dict[int, dict[int, int]] = {}
        """Key to pane to number of events."""
        self._peaks: dict[int, dict[int, int]] = {}
        """Key to block to the highest number in it."""
        self._crowded = False

    def see(self, rows: list[Sighting], pane: int) -> Held:
        """Take in what came of *pane*, and say which panes hold: it, or with what came late the next."""
        held: Held = {}
        for key, _, count, heard in rows:
            if heard:
                self._lives.see(key, pane)
            if count is None:
                continue
            counts = self._counts.setdefault(key, {})
            if counts and pane <= max(counts) - _PANES:
                continue  # too late to matter
            counts[pane] = counts.get(pane, 0) + count
            if len(counts) > _PANES:
                newest = max(counts)
                for old in [one for one in counts if one <= newest - _PANES]:
                    del counts[old]
            for touched in (pane, pane + 1):
                n = counts.get(touched, 0) + counts.get(touched - 1, 0)
                if n * self._rule.ratio >= self._rule.floor:
                    self._note(key, touched, n)
                if n >= self._rule.floor and touched in counts and self._holds(key, touched, n):
                    held[key, touched] = min(n, sql.CEILING)
        return held

    def _note(self, key: int, pane: int, n: int) -> None:
        """Less than this can never be what makes the difference: ``floor`` is more then."""
        peaks, block = self._peaks.setdefault(key, {}), pane // self._panes
        peaks[block] = max(peaks.get(block, 0), n)

    def _holds(self, key: int, pane: int, n: int) -> bool:
        if not self._lives.known(key, pane, self._span):
            return False
        end = (pane - 1) // self._panes
        peaks = self._peaks.get(key, {})
        began = self._lives.began(key)
        long = began is not None and pane - began >= 2 * self._rule.rank * self._panes
        rank = self._rule.rank if long else 1
        past = sorted((n for b, n in peaks.items() if end - self._rule.blocks <= b < end), reverse=True)
        usual = past[rank - 1] if len(past) >= rank else 0
        return n > self._rule.ratio * usual

    @property
    def degraded(self) -> bool:
        """Whether keys had to be forgotten before their time."""
        return self._lives.degraded or self._crowded

    def forget(self, before: int) -> None:
        """Let go of what was last seen before that pane."""
        self._lives.forget(before)
        block = before // self._panes
        self._peaks = {
            key: kept for key, peaks in self._peaks.items() if (kept := {b: n for b, n in peaks.items() if b >= block})
        }
        # Counts are of use for a few panes alone, whatever the memory.
        recent = before + self.kept - 2 * _PANES
        self._counts = {key: counts for key, counts in self._counts.items() if max(counts) >= recent}
        if len(self._counts) > MOST:
            self._crowded = True
            keep = oldest([max(counts) for counts in self._counts.values()])
            self._counts = {key: counts for key, counts in self._counts.items() if max(counts) >= keep}

    def dump(self) -> Any:
        """What :meth:`load` takes."""
        return [self._lives.dump(), self._counts, self._peaks]

    def load(self, state: Any) -> None:
        """Take up where :meth:`dump` left off."""
        spans: dict[int, int]
        counts: Mapping[int, dict[int, int]]
        peaks: Mapping[int, dict[int, int]]
        spans, counts, peaks = state
        self._lives.load(spans)
        self._counts, self._peaks = dict(counts), dict(peaks)
