"""Hits in time: microseconds, and the islands of hits that lie close enough together to be one alert."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bearerwatch.store.episodes import Episode

__all__ = ["SECOND", "Grown", "Island", "Key", "instant", "islands", "micros", "uncovered"]

SECOND = 1_000_000
"""Microseconds."""

Key = tuple[str, ...]
"""The values of a rule's group-by fields, in its order."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


def instant(micros: int) -> datetime:
    """Microseconds since 1970 as an aware UTC datetime; what no datetime can hold becomes the nearest that can."""
    return _EPOCH + timedelta(microseconds=min(max(micros, _FIRST), _LAST))


def micros(at: datetime) -> int:
    """An aware datetime as microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


@dataclass(frozen=True, slots=True)
class Island:
    """Hits of one key with no gap longer than the window between them. Times in µs."""

    first: int
    last: int
    peak: int
    hits: int
    fresh: int
    """How many of the hits were none before."""


@dataclass(slots=True)
class Grown:
    """An episode that may have changed its extent."""

    episode: Episode
    before: list[tuple[int, int]]
    """First and last hit (µs) of the episodes it was made from, as they were; empty if it has just opened."""


def islands(hits: Iterable[tuple[int, int]], old: Iterable[int], gap: int) -> Iterator[Island]:
    """Split hits into islands.

    Args:
        hits: ``(ts, n)`` in µs, in any order.
        old: times of anchors that were hits before; those that are none any more count for nothing.
        gap: µs; hits so far apart still belong together.
    """
    every = sorted(hits)
    was = sorted((Counter(ts for ts, _ in every) & Counter(old)).elements())
    seen = 0
    group: list[tuple[int, int]] = []
    for hit in [*every, None]:
        if group and (hit is None or hit[0] - group[-1][0] > gap):
            last = group[-1][0]
            start = seen
            while seen < len(was) and was[seen] <= last:
                seen += 1
            yield Island(group[0][0], last, max(n for _, n in group), len(group), max(len(group) - (seen - start), 0))
            group = []
        if hit is not None:
            group.append(hit)


def uncovered(grown: Grown, window: int) -> list[tuple[int, int]]:
    """The parts of an episode's extent (from *window* µs before its first hit) that it did not have before."""
    start, end = micros(grown.episode.first_hit) - window, micros(grown.episode.last_hit)
    parts = []
    for first, last in sorted(grown.before):
        if start < first - window:
            parts.append((start, first - window - 1))
        start = max(start, last + 1)
    if start <= end:
        parts.append((start, end))
    return parts
