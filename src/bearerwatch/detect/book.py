"""Episodes: hits of one rule and key that lie no more than the rule's window apart are one alert.

An episode opens at the first hit that belongs to no other, and then only extends. Its id is fixed at opening. What a
late hit changes is listed with :meth:`EpisodeBook.absorb`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from bearerwatch.detect.evidence import joined
from bearerwatch.detect.ir import Rule
from bearerwatch.detect.islands import SECOND, Grown, Island, Key, instant, micros
from bearerwatch.store import episodes
from bearerwatch.store.episodes import Episode
from bearerwatch.store.state import State

__all__ = ["Change", "EpisodeBook", "Happened", "Transition", "episode_id"]

Transition = Literal["opened", "closed", "merged", "extended"]
Place = tuple[str, int, Key]
"""Rule, version and key."""

_SAY_EXTENDED = timedelta(seconds=1)
_PAUSE = timedelta(seconds=10)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Something happened to an episode; ``episode`` is a copy of how it is at the end of the tick.

    ``opened`` and ``closed`` happen once each. ``merged`` says that the episode turned out to be part of another,
    named by its ``superseded_by``. ``extended`` is said at most once a second per episode; what is saved is current.
    """

    transition: Transition
    episode: Episode


Happened = tuple[Transition, Episode]
"""A change whose episode is not copied yet."""


def episode_id(rule: Rule, key: Key, first_hit: int, continues: Sequence[str] = ()) -> str:
    """32 hex characters of SHA-256 over rule, version, key and the first hit at opening (µs).

    An episode that goes on where others were closed may begin at the very hit that named one of them. So the ids it
    *continues* are part of its own; as each of them is continued but once, no two episodes share an id.
    """
    text = msgspec.json.encode([rule.name, rule.version, key, first_hit, *([continues] if continues else ())])
    return hashlib.sha256(text).hexdigest()[:32]


def _opened(rule: Rule, key: Key, island: Island, now: datetime, continues: Sequence[str]) -> Episode:
    return Episode(
        id=episode_id(rule, key, island.first, continues),
        rule=rule.name,
        rule_version=rule.version,
        title=rule.title,
        level=rule.level,
        key=dict(zip(rule.group_by, key, strict=True)),
        first_hit=instant(island.first),
        last_hit=instant(island.last),
        opened_at=now,
        peak=island.peak,
        hits=0 if continues else island.hits,
        evidence={},
    )


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
        self._live: dict[Place, list[Episode]] = {}
        self._open: dict[str, Episode] = {}
        self._seen: dict[str, datetime] = {}
        """Open episode's id to the wall clock of its last fresh hit."""
        self._said: dict[str, datetime] = {}
        self._closed: dict[str, tuple[Place, Episode]] = {}
        self._wake: datetime | None = None
        """No episode ends before; None if that is not known."""
        self._read_until: datetime | None = None
        """Events are read up to there, as far as is known; None if nobody says, which counts as up to now."""
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
        live = self._live.get(place, [])
        if episode.id in self.dirty or any(known.id == episode.id for known in live):
            return
        self._live[place] = [*live, episode]
        if episode.closed_at is None:
            self._now_open(episode, now)
        else:
            self._closed[episode.id] = place, episode

    def look_up(self, rule: Rule, found: Mapping[Key, Iterable[Island]], state: State, now: datetime) -> None:
        """Take back into memory the closed episodes that what is *found* of *rule* could touch; before :meth:`absorb`.

        Raises:
            StateBusy: the state database cannot be read just now.
        """
        forgotten = self.forgotten.get(rule.name)
        if forgotten is None:
            return
        window = rule.window * SECOND
        spans = [
            (since, instant(island.last + window + 1))
            for several in found.values()
            for island in several
            if (since := instant(island.first - window)) <= forgotten
        ]
        if not spans:
            return
        since, until = min(span[0] for span in spans), max(span[1] for span in spans)
        with state.read() as conn:
            near = episodes.list_(conn, since=since, until=until, rules=[rule.name], limit=None)
        for episode in near:
            place = self._place(episode)
            if place[1] == rule.version and place[2] in found:
                self.load(episode, now)

    def has_open(self, rule: Rule, key: Key) -> bool:
        """Whether an episode of *key* is open."""
        return any(e.id in self._open for e in self._live.get((rule.name, rule.version, key), ()))

    def extends_only(self, rule: Rule, key: Key, first: int, last: int) -> bool:
        """Whether hits between *first* and *last* (µs) could do nothing but extend one open episode."""
        near = self._near(rule, key, first, last)
        if len(near) != 1 or near[0].id not in self._open:
            return False
        window, forgotten = rule.window * SECOND, self.forgotten.get(rule.name)
        if forgotten is not None and first - window <= micros(forgotten):
            return False
        return micros(near[0].first_hit) - window <= first and last <= micros(near[0].last_hit) + window

    def _near(self, rule: Rule, key: Key, first: int, last: int) -> list[Episode]:
        """The episodes no more than the rule's window away from that stretch of time (µs)."""
        window, live = rule.window * SECOND, self._live.get((rule.name, rule.version, key), ())
        return [e for e in live if micros(e.first_hit) - window <= last and first <= micros(e.last_hit) + window]

    # -- what changes ------------------------------------------------------------------------------------------------

    def absorb(
        self, rule: Rule, key: Key, found: Iterable[Island], *, now: datetime, heard: datetime
    ) -> tuple[list[Grown], list[Happened]]:
        """Open an episode for each island, extend those it touches, or merge those it bridges.

        An open episode is preferred to a closed one, then the one opened first. A closed episode extends without
        being said, and stays closed, unless the hits show that it had not come to its end: then a new one is opened,
        which the closed ones become part of.

        Args:
            rule: whose hits they are.
            key: of what key.
            found: the islands, by time.
            now: the collector's clock.
            heard: its clock when the events came.

        Returns:
            The episodes the islands are in now, and what happened.
        """
        live = self._live.get((rule.name, rule.version, key), ())
        extents = {e.id: (micros(e.first_hit), micros(e.last_hit)) for e in live}
        made_of: dict[str, set[str]] = {}
        touched: dict[str, Episode] = {}
        happened: list[Happened] = []
        for island in found:
            episode, others, what = self._placed(rule, key, island, now=now, heard=heard)
            happened += what
            parts = made_of.setdefault(episode.id, {episode.id})
            for other in others:
                parts |= made_of.pop(other.id, {other.id})
                touched.pop(other.id, None)
            touched[episode.id] = episode
        return [
            Grown(episode, [extents[part] for part in made_of[episode.id] if part in extents])
            for episode in touched.values()
        ], happened

    def _placed(
        self, rule: Rule, key: Key, island: Island, *, now: datetime, heard: datetime
    ) -> tuple[Episode, list[Episode], list[Happened]]:
        """The episode *island* is in now, those that were merged into it, and what happened."""
        touched = self._near(rule, key, island.first, island.last)
        touched.sort(key=lambda e: (e.closed_at is not None, e.opened_at, e.first_hit, e.id))
        happened: list[Happened] = []
        if not touched or self._goes_on(rule, island, touched, now):
            episode = _opened(rule, key, island, now, [e.id for e in touched])
            others, touched = touched, [episode, *touched]
            self._live.setdefault((rule.name, rule.version, key), []).append(episode)
            self.dirty[episode.id] = episode
            self._now_open(episode, heard)
            happened.append(("opened", episode))
            if not others:
                return episode, [], happened
        else:
            episode, others = touched[0], touched[1:]
        was = episode.first_hit, episode.last_hit, episode.peak, episode.hits
        episode.first_hit = min(instant(island.first), *(e.first_hit for e in touched))
        episode.last_hit = max(instant(island.last), *(e.last_hit for e in touched))
        episode.peak = max(island.peak, *(e.peak for e in touched))
        episode.hits = sum(e.hits for e in touched) + island.fresh
        for other in others:
            self._supersede(other, episode)
            happened.append(("merged", other))
        if episode.id in self._open and island.fresh:
            self._seen[episode.id] = max(self._seen[episode.id], heard)
        if was != (episode.first_hit, episode.last_hit, episode.peak, episode.hits):
            self.dirty[episode.id] = episode
            if episode.id in self._open and now - self._said.get(episode.id, episode.opened_at) >= _SAY_EXTENDED:
                self._said[episode.id] = now
                happened.append(("extended", episode))
        return episode, others, happened

    def _goes_on(self, rule: Rule, island: Island, touched: Sequence[Episode], now: datetime) -> bool:
        """Whether *island* is of an attack that was told to be over and is not.

        While nothing is read (a full disk, a database away, a sender out of reach) every episode falls quiet and is
        closed. If its later hits only extended the closed one, an attack that goes on would be told by nobody. So a
        new episode opens when an open one with this last hit would not be over by the clock yet; or when there is a
        hit from after the closing, for a sender that is late all the time never has hits as new as that. Other late
        hits belong to what was told and is over. One whose hits come within the allowed lateness finds its episode
        open: it is told once.
        """
        closed = [e.closed_at for e in touched if e.closed_at is not None]
        if len(closed) < len(touched):
            return False
        return micros(now) <= island.last + self._quiet(rule) or micros(max(closed)) < island.last

    def _supersede(self, other: Episode, by: Episode) -> None:
        other.superseded_by = by.id
        by.evidence = joined(by.evidence, other.evidence)
        self._drop(self._place(other), other)
        self._closed.pop(other.id, None)
        self._no_longer_open(other)
        self.dirty[other.id] = other

    def close(self, now: datetime) -> list[Happened]:
        """Close what has been quiet for its window and the allowed lateness, by the clock and by arrival.

        What has not been read is not quiet: only time up to the latest :meth:`read_up_to` counts.
        """
        happened: list[Happened] = []
        for episode in self.quiet(now):
            episode.closed_at = now
            self.dirty[episode.id] = episode
            self._closed[episode.id] = self._place(episode), episode
            self._no_longer_open(episode)
            happened.append(("closed", episode))
        return happened

    def read_up_to(self, until: datetime) -> None:
        """Take note that what was sent until then has been read; after a pause every open episode has its time again.

        For who could not send meanwhile tries again some time later; it is the same after a restart.
        """
        if self._read_until is not None and until - self._read_until > _PAUSE:
            self._seen = {name: max(seen, until) for name, seen in self._seen.items()}
        self._read_until = until

    def quiet(self, now: datetime) -> list[Episode]:
        """The open episodes that :meth:`close` would close."""
        now = now if self._read_until is None else min(now, self._read_until)
        if self._wake is not None and now <= self._wake:
            return []
        ends = {e.id: self._ends(e) for e in self._open.values()}
        # Ends only ever move away: until the first of them there is nothing to look for.
        self._wake = min(ends.values(), default=None)
        return [episode for episode in self._open.values() if now > ends[episode.id]]

    def _ends(self, episode: Episode) -> datetime:
        rule = self._rules.get(episode.rule)
        return instant(micros(max(episode.last_hit, self._seen[episode.id])) + self._quiet(rule))

    def _quiet(self, rule: Rule | None) -> int:
        """How long (µs) an episode of *rule* must have no hit to be over."""
        return (rule.window * SECOND if rule is not None else 0) + self._lateness // timedelta(microseconds=1)

    def _now_open(self, episode: Episode, heard: datetime) -> None:
        self._open[episode.id] = episode
        self._seen[episode.id] = heard
        self._wake = None

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
            self._drop(place, episode)
            self.forgotten[episode.rule] = max(self.forgotten.get(episode.rule, episode.last_hit), episode.last_hit)

    def _drop(self, place: Place, episode: Episode) -> None:
        self._live[place] = [kept for kept in self._live[place] if kept is not episode]
        if not self._live[place]:
            del self._live[place]

    def _place(self, episode: Episode) -> Place:
        """Where the episode is kept: rule, version and the key's values in the rule's order."""
        rule = self._rules.get(episode.rule)
        names = tuple(episode.key) if rule is None or set(rule.group_by) != set(episode.key) else rule.group_by
        return episode.rule, episode.rule_version, tuple(episode.key[name] for name in names)
