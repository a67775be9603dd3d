"""Who was heard of regularly and is not any more, see :class:`~bearerwatch.detect.ir_keyed.Silence`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import msgspec

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect.ir_keyed import Silence
from bearerwatch.detect.islands import SECOND, Island, Key
from bearerwatch.detect.keyed.kind import Held, Kind, Sighting

__all__ = ["SilenceLive"]

_MOST = 10_000
"""Keys listened to: services and their processes, not callers."""
_NONE = -(2**62)


class _Heard(msgspec.Struct, array_like=True):
    """One key, in panes."""

    first: int
    last: int
    seen: int
    longest: int = 0
    """The longest pause of its life, in panes."""
    pause: int = 0
    """The second longest."""


class SilenceLive(Kind):
    """Sightings are ``(hash of key, pane, key …)``; none of them holds: it is the clock that tells.

    Sightings are taken in by time, two panes after they were, so that late ones are in order. The clock is what was
    read up to; as long as nobody says, it is the latest event's time.
    """

    def __init__(self, rule: Silence) -> None:
        """Nobody is known."""
        super().__init__(rule.settle, rule.memory)
        self.select = [sql.key_column(name) for name in rule.group_by]
        self.where = sql.step_where(rule.selection, rule.group_by)
        self.anchors = self.where
        self._rule = rule
        self._floor = -(-rule.floor // rule.settle)
        self._span = -(-rule.span // rule.settle)
        self._heard: dict[Key, _Heard] = {}
        self._told: dict[Key, int] = {}
        """Up to which pane silence is told."""
        self._early: dict[int, set[Key]] = {}
        """Pane to who was heard of in it, not taken in yet."""
        self._newest = _NONE
        self.untold: dict[Key, list[Island]] = {}
        """Silence that is in no episode yet."""
        self._crowded = False

    def see(self, rows: list[Sighting], pane: int) -> Held:
        """Take note of who was heard of in *pane*."""
        self._early.setdefault(pane, set()).update(row[2:] for row in rows)
        self._newest = max(self._newest, pane)
        return {}

    def listen(self, clock: int | None) -> None:
        """Note in :attr:`untold` who is silent.

        Args:
            clock: events are read up to then, in µs; None if nobody says.
        """
        newest = self._newest if clock is None else clock // (self.settle * SECOND)
        until = newest - 2
        for pane in sorted(pane for pane in self._early if pane <= until):
            for key in self._early.pop(pane):
                self._hear(key, pane)
        for key, heard in self._heard.items():
            self._pause(key, heard, until + 1)

    def _hear(self, key: Key, pane: int) -> None:
        heard = self._heard.get(key)
        if heard is None:
            if len(self._heard) < _MOST:
                self._heard[key] = _Heard(pane, pane, 1)
            else:
                self._crowded = True
            return
        if pane <= heard.last:
            return  # too late to matter
        self._pause(key, heard, pane)
        if pane - heard.last > self.kept:
            self._heard[key] = _Heard(pane, pane, 1)
            return
        _, heard.pause, heard.longest = sorted((heard.pause, heard.longest, pane - heard.last - 1))
        heard.last, heard.seen = pane, heard.seen + 1

    def _pause(self, key: Key, heard: _Heard, end: int) -> None:
        """Note the silence of *key* before pane *end*, as far as it is not told."""
        rule = self._rule
        if heard.seen < rule.sightings or heard.last - heard.first < self._span:
            return
        limit = max(self._floor, math.ceil(rule.ratio * heard.pause))
        start = max(heard.last + limit + 1, self._told.get(key, _NONE) + 1)
        stop = min(end, heard.last + self.kept + 1) - 1
        if start <= stop:
            self._told[key] = stop
            pane, hits = self.settle * SECOND, stop - start + 1
            self.untold.setdefault(key, []).append(Island(start * pane, stop * pane, stop - heard.last, hits, hits))

    def told_of(self, episodes: Iterable[tuple[Key, int]]) -> None:
        """After a start: silence of these keys is told up to then (µs)."""
        for key, last in episodes:
            self._told[key] = max(self._told.get(key, _NONE), last // (self.settle * SECOND))

    @property
    def degraded(self) -> bool:
        """Whether there are more keys than are listened to."""
        return self._crowded

    def forget(self, before: int) -> None:
        """Let go of who was last heard of before that pane."""
        self._heard = {key: heard for key, heard in self._heard.items() if heard.last >= before}
        self._told = {key: pane for key, pane in self._told.items() if pane >= before}

    def dump(self) -> Any:
        """What :meth:`load` takes."""
        early = [[pane, list(keys)] for pane, keys in self._early.items()]
        known = [[list(key), heard] for key, heard in self._heard.items()]
        return [self._newest, early, known, [[list(key), pane] for key, pane in self._told.items()]]

    def load(self, state: Any) -> None:
        """Take up where :meth:`dump` left off."""
        self._newest, early, known, told = state
        self._early = {pane: {tuple(key) for key in keys} for pane, keys in early}
        self._heard = {tuple(key): msgspec.convert(heard, _Heard) for key, heard in known}
        self._told = {tuple(key): pane for key, pane in told}
