"""What is remembered of keys and values: their lives, in a few whole numbers each.

Panes are whole numbers, see :mod:`~bearerwatch.detect.ir_keyed`. Keys are 64-bit hashes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from bearerwatch.detect.ir_keyed import Learned

__all__ = ["MOST", "Learner", "Lives", "Past", "oldest"]

MOST = 400_000
"""Keys, or values, remembered of one rule: some 150 bytes each. Beyond, the longest unseen are forgotten."""

_LOW = (1 << 32) - 1


class Lives:
    """Of each key the first and the latest pane of its life."""

    def __init__(self, gap: int) -> None:
        """Nothing is known.

        Args:
            gap: panes; a longer pause ends a life.
        """
        self._gap = gap
        self._spans: dict[int, int] = {}
        self.degraded = False

    def see(self, key: int, pane: int) -> int | None:
        """Take note of a sighting.

        Returns:
            None if no life begins with it; else *pane*, or the pane in which that life was thought to begin.
        """
        span = self._spans.get(key)
        if span is None:
            self._spans[key] = pane << 32 | pane
            return pane
        first, last = span >> 32, span & _LOW
        if pane > last:
            born = pane - last > self._gap
            self._spans[key] = (pane if born else first) << 32 | pane
            return pane if born else None
        if pane < first and first - pane <= self._gap:
            self._spans[key] = pane << 32 | last
            return first
        return None

    def began(self, key: int) -> int | None:
        """The first pane of the key's life."""
        span = self._spans.get(key)
        return None if span is None else span >> 32

    def new(self, key: int, pane: int) -> bool:
        """Whether a sighting in *pane* is in the first two panes of the key's life."""
        began = self.began(key)
        return began is not None and began <= pane < began + 2

    def known(self, key: int, pane: int, panes: int) -> bool:
        """Whether the life that *pane* belongs to, or follows, began at least *panes* before and is not over."""
        span = self._spans.get(key)
        return span is not None and pane - (span >> 32) >= panes and pane - (span & _LOW) <= self._gap

    def forget(self, before: int) -> None:
        """Let go of lives that were over before that pane, and of the oldest beyond the bound."""
        if len(self._spans) > MOST:
            self.degraded = True
            before = max(before, oldest([span & _LOW for span in self._spans.values()]))
        self._spans = {key: span for key, span in self._spans.items() if span & _LOW >= before}

    def dump(self) -> dict[int, int]:
        """What :meth:`load` takes."""
        return self._spans

    def load(self, spans: dict[int, int]) -> None:
        """Take up where :meth:`dump` left off."""
        self._spans = spans


class Past(NamedTuple):
    """One learner's life, in panes."""

    first: int
    recent: tuple[int, ...]
    """Its latest three sightings, the latest first."""
    seen: int
    """In how many panes it was seen."""
    births: int
    """Values that began before those of ``born``."""
    born: tuple[int, ...]
    """In which of the latest panes values began, one for each."""


class Learner:
    """Whom pasts are kept under."""

    def __init__(self, learned: Learned, settle: int) -> None:
        """Nobody is known."""
        self._gap = learned.memory // settle
        self._span = -(-learned.span // settle)
        self._sightings = {True: learned.sightings, False: learned.alone}
        self._most = learned.most
        self._pasts: dict[int, Past] = {}
        self.degraded = False

    def see(self, key: int, pane: int) -> None:
        """Take note of a sighting."""
        past = self._pasts.get(key)
        if past is None or pane - past.recent[0] > self._gap:
            self._pasts[key] = Past(pane, (pane,), 1, 0, ())
        elif pane not in past.recent:
            first, recent, seen, births, born = past
            if pane > recent[-1] or len(recent) < 3:
                recent = tuple(sorted((pane, *recent), reverse=True)[:3])
            elif first - pane > self._gap:
                return
            old = sum(one < recent[0] - 3 for one in born)
            born = tuple(one for one in born if one >= recent[0] - 3)
            self._pasts[key] = Past(min(first, pane), recent, seen + 1, births + old, born)

    def bear(self, key: int, pane: int, thought: int) -> None:
        """Take note that a value of it begins in *pane*, and not in *thought* if that is another."""
        past = self._pasts[key]
        born = list(past.born)
        if thought != pane:
            if thought not in born:
                return
            born.remove(thought)
        self._pasts[key] = past._replace(born=(*born, pane))

    def ask(self, key: int, pane: int, *, new_agent: bool) -> tuple[int, bool, bool]:
        """What its past says as of *pane*, all but two panes of it, for a user agent that is news or not.

        Returns:
            In how many panes it was seen; whether it is not everywhere already; whether it is known as well.
        """
        past = self._pasts[key]
        seen = past.seen - sum(one > pane - 2 for one in past.recent)
        settled = past.births + sum(one <= pane - 2 for one in past.born) < self._most
        return seen, settled, settled and seen >= self._sightings[new_agent] and pane - past.first >= self._span

    def forget(self, before: int) -> None:
        """Let go of whom nothing was seen of since that pane, and of the oldest beyond the bound."""
        if len(self._pasts) > MOST:
            self.degraded = True
            before = max(before, oldest([past.recent[0] for past in self._pasts.values()]))
        self._pasts = {key: past for key, past in self._pasts.items() if past.recent[0] >= before}

    def dump(self) -> dict[int, Any]:
        """What :meth:`load` takes."""
        return dict(self._pasts)

    def load(self, pasts: Mapping[int, Any]) -> None:
        """Take up where :meth:`dump` left off."""
        self._pasts = {
            key: Past(first, tuple(recent), seen, births, tuple(born))
            for key, (first, recent, seen, births, born) in pasts.items()
        }


def oldest(panes: list[int]) -> int:
    """From which pane on to keep, for a quarter to go: so that this is not needed at every tick."""
    return int(np.partition(np.array(panes), len(panes) // 4)[len(panes) // 4]) + 1
