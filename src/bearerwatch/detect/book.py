"""Episodes: hits of one rule and key that lie no more than the rule's window apart are one alert.

An episode opens at the first hit that belongs to no other, and then only extends. Its id is fixed at opening. What a
late hit changes is listed with :meth:`EpisodeBook.absorb`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from bearerwatch.detect.evidence import joined
from bearerwatch.detect.ir import Rule
from bearerwatch.store.episodes import Episode

__all__ = [
    "Change",
    "EpisodeBook",
    "Grown",
    "Happened",
    "Island",
    "Key",
    "Transition",
    "episode_id",
    "instant",
    "islands",
    "micros",
]

Key = tuple[str, ...]
Transition = Literal["opened", "closed", "merged", "extended"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SAY_EXTENDED = timedelta(seconds=1)


def instant(micros: int) -> datetime:
    """Microseconds since 1970 as an aware UTC datetime."""
    return _EPOCH + timedelta(microseconds=micros)


def micros(at: datetime) -> int:
    """An aware datetime as microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Something happened to an episode; ``episode`` is a copy of how it is at the end of the tick.

    ``opened`` and ``closed`` happen once each. ``merged`` says that the episode turned out to be part of another,
    named by its ``superseded_by``. ``extended`` is said at most once a second per episode; what is saved is current.
    """

    transition: Transition
    episode: Episode


Happened = tuple[Transition, Episode]
"""A change whose episode is not copied yet."""


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
    """An episode that has changed its extent."""

    episode: Episode
    before: list[tuple[int, int]]
    """First and last hit (µs) of the episodes it was made from, as they were; empty if it has just opened."""


def islands(hits: Iterable[tuple[int, int]], old: Iterable[int], gap: int) -> Iterator[Island]:
    """Split hits into islands.

    Args:
        hits: ``(ts, n)`` in µs, in any order.
        old: times of those that were hits before, one per anchor.
        gap: µs; hits so far apart still belong together.
    """
    was = sorted(old)
    seen = 0
    group: list[tuple[int, int]] = []
    for hit in [*sorted(hits), None]:
        if group and (hit is None or hit[0] - group[-1][0] > gap):
            last = group[-1][0]
            start = seen
            while seen < len(was) and was[seen] <= last:
                seen += 1
            yield Island(group[0][0], last, max(n for _, n in group), len(group), max(len(group) - (seen - start), 0))
            group = []
        if hit is not None:
            group.append(hit)


def episode_id(rule: Rule, key: Key, first_hit: int) -> str:
    """32 hex characters of SHA-256 over rule, version, key and the first hit at opening (µs)."""
    text = msgspec.json.encode([rule.name, rule.version, key, first_hit])
    return hashlib.sha256(text).hexdigest()[:32]


class EpisodeBook:
    """The episodes in memory: open ones, those closed not long ago, and those not saved yet."""

    def __init__(self, rules: Iterable[Rule], lateness: timedelta) -> None:
        """Empty.

        Args:
            rules: the rules whose episodes are kept.
            lateness: how late events may be.
        """
        self._rules: Mapping[str, Rule] = {rule.name: rule for rule in rules}
        self._lateness = lateness
        self._live: dict[tuple[str, int, Key], list[Episode]] = {}
        self._open: dict[str, Episode] = {}
        self._seen: dict[str, datetime] = {}
        """Open episode's id to the wall clock of its last fresh hit."""
        self._said: dict[str, datetime] = {}
        self._closed: dict[str, tuple[tuple[str, int, Key], Episode]] = {}
        self.dirty: dict[str, Episode] = {}
        """Episodes not saved as they are now, by id."""
        self.forgotten: dict[str, datetime] = {}
        """Rule to the latest ``last_hit`` of closed episodes that are in the state database alone."""

    @property
    def open(self) -> int:
        """How many episodes are open."""
        return len(self._open)

    @property
    def episodes(self) -> list[Episode]:
        """Those in memory that are not part of another."""
        return [episode for live in self._live.values() for episode in live]

    # -- what there is -----------------------------------------------------------------------------------------------

    def load(self, episode: Episode, now: datetime) -> None:
        """Take in an episode from the state database, unless it is known."""
        place = self._place(episode)
        live = self._live.setdefault(place, [])
        if episode.id in self.dirty or any(known.id == episode.id for known in live):
            return
        live.append(episode)
        if episode.closed_at is None:
            self._open[episode.id] = episode
            self._seen[episode.id] = now
        else:
            self._closed[episode.id] = place, episode

    def needs(self, rule: Rule, island: Island) -> tuple[datetime, datetime] | None:
        """The range of hits to look up in the state database before :meth:`absorb`, if any."""
        since = instant(island.first) - timedelta(seconds=rule.window)
        until = instant(island.last) + timedelta(seconds=rule.window)
        forgotten = self.forgotten.get(rule.name)
        return (since, until) if forgotten is not None and since <= forgotten else None

    # -- what changes ------------------------------------------------------------------------------------------------

    def absorb(
        self, rule: Rule, key: Key, found: Iterable[Island], now: datetime
    ) -> tuple[list[Grown], list[Happened]]:
        """Open an episode for each island, extend those it touches, or merge those it bridges.

        An open episode is preferred to a closed one, then the one opened first. A closed episode extends without
        being said, and stays closed.

        Returns:
            The episodes that took fresh hits or grew, and what happened.
        """
        live = self._live.setdefault((rule.name, rule.version, key), [])
        extents = {e.id: (micros(e.first_hit), micros(e.last_hit)) for e in live}
        made_of: dict[str, set[str]] = {}
        grown: dict[str, Episode] = {}
        happened: list[Happened] = []
        for island in found:
            episode, others, changed = self._placed(rule, key, island, now, live, happened)
            parts = made_of.setdefault(episode.id, {episode.id})
            for other in others:
                parts |= made_of.pop(other.id, {other.id})
                grown.pop(other.id, None)
            if changed:
                grown[episode.id] = episode
        return [
            Grown(episode, [extents[part] for part in made_of[episode.id] if part in extents])
            for episode in grown.values()
        ], happened

    def _placed(
        self, rule: Rule, key: Key, island: Island, now: datetime, live: list[Episode], happened: list[Happened]
    ) -> tuple[Episode, list[Episode], bool]:
        """The episode *island* is in now, those merged into it, and whether it has taken anything in."""
        window = timedelta(seconds=rule.window)
        first, last = instant(island.first), instant(island.last)
        touched = [e for e in live if e.first_hit - window <= last and first <= e.last_hit + window]
        if not touched:
            episode = self._opened(rule, key, island, now, live)
            happened.append(("opened", episode))
            return episode, [], True
        touched.sort(key=lambda e: (e.closed_at is not None, e.opened_at, e.first_hit, e.id))
        episode, others = touched[0], touched[1:]
        was = episode.first_hit, episode.last_hit, episode.peak, episode.hits
        episode.first_hit = min(first, *(e.first_hit for e in touched))
        episode.last_hit = max(last, *(e.last_hit for e in touched))
        episode.peak = max(island.peak, *(e.peak for e in touched))
        episode.hits = sum(e.hits for e in touched) + island.fresh
        for other in others:
            self._supersede(other, episode, live)
            happened.append(("merged", other))
        if episode.id in self._open and island.fresh:
            self._seen[episode.id] = now
        changed = was != (episode.first_hit, episode.last_hit, episode.peak, episode.hits)
        if changed:
            self.dirty[episode.id] = episode
            if episode.id in self._open and now - self._said.get(episode.id, episode.opened_at) >= _SAY_EXTENDED:
                self._said[episode.id] = now
                happened.append(("extended", episode))
        return episode, others, changed

    def _opened(self, rule: Rule, key: Key, island: Island, now: datetime, live: list[Episode]) -> Episode:
        episode = Episode(
            id=episode_id(rule, key, island.first),
            rule=rule.name,
            rule_version=rule.version,
            title=rule.title,
            level=rule.level,
            key=dict(zip(rule.group_by, key, strict=True)),
            first_hit=instant(island.first),
            last_hit=instant(island.last),
            opened_at=now,
            peak=island.peak,
            hits=island.hits,
            evidence={},
        )
        live.append(episode)
        self._open[episode.id] = episode
        self._seen[episode.id] = now
        self.dirty[episode.id] = episode
        return episode

    def _supersede(self, other: Episode, by: Episode, live: list[Episode]) -> None:
        other.superseded_by = by.id
        by.evidence = joined(by.evidence, other.evidence)
        live.remove(other)
        self._closed.pop(other.id, None)
        self._no_longer_open(other)
        self.dirty[other.id] = other

    def close(self, now: datetime) -> list[Happened]:
        """Close what has been quiet for its window and the allowed lateness, by the clock and by arrival."""
        changes: list[Happened] = []
        for episode in list(self._open.values()):
            rule = self._rules.get(episode.rule)
            quiet = timedelta(seconds=rule.window if rule is not None else 0) + self._lateness
            if now - max(episode.last_hit, self._seen[episode.id]) > quiet:
                episode.closed_at = now
                self.dirty[episode.id] = episode
                self._closed[episode.id] = self._place(episode), episode
                self._no_longer_open(episode)
                changes.append(("closed", episode))
        return changes

    def _no_longer_open(self, episode: Episode) -> None:
        self._open.pop(episode.id, None)
        self._seen.pop(episode.id, None)
        self._said.pop(episode.id, None)

    # -- what is kept ------------------------------------------------------------------------------------------------

    def saved(self) -> None:
        """What was dirty is committed."""
        self.dirty.clear()

    def forget(self, before: datetime) -> None:
        """Let go of closed and saved episodes whose last hit lies before that instant."""
        old = [e.id for _, e in self._closed.values() if e.last_hit < before and e.id not in self.dirty]
        for place, episode in map(self._closed.pop, old):
            live = self._live[place]
            live.remove(episode)
            if not live:
                del self._live[place]
            self.forgotten[episode.rule] = max(self.forgotten.get(episode.rule, episode.last_hit), episode.last_hit)

    def _place(self, episode: Episode) -> tuple[str, int, Key]:
        """Where the episode is kept: rule, version and the key's values in the rule's order."""
        rule = self._rules.get(episode.rule)
        names = tuple(episode.key) if rule is None or set(rule.group_by) != set(episode.key) else rule.group_by
        return episode.rule, episode.rule_version, tuple(episode.key[name] for name in names)
