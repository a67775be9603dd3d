# ruff: noqa: S608 - made of names and numbers of ours and the dialect's text
"""Rules that ask for a key's past, at work: the batch in, episodes out.

Of each batch one grouped query a rule tells which sightings there are; what is remembered says which of them hold;
and only for those that do are events looked up, in the lake too for a sighting that holds for the first time, for all
events of a sighting are anchors. That is as seldom as alerts are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

import duckdb
from sqlalchemy.engine import Connection

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect import keyed_sql
from bearerwatch.detect.book import EpisodeBook, Happened
from bearerwatch.detect.evidence import COLUMNS as EVIDENCE
from bearerwatch.detect.evidence import Seen, together
from bearerwatch.detect.ir import Rule
from bearerwatch.detect.ir_keyed import Baseline, FirstSeen, Keyed, Silence, Travel
from bearerwatch.detect.islands import SECOND, Island, Key, instant, micros
from bearerwatch.detect.keyed.baseline import BaselineLive
from bearerwatch.detect.keyed.first_seen import FirstSeenLive
from bearerwatch.detect.keyed.kind import Held, Kind, Sighting
from bearerwatch.detect.keyed.silence import SilenceLive
from bearerwatch.detect.keyed.snapshot import Memory, Snapshot, Snapshots
from bearerwatch.detect.keyed.travel import TravelLive
from bearerwatch.store import episodes
from bearerwatch.store.lake import INCOMING, Lake
from bearerwatch.store.state import State

__all__ = ["Remembered"]

_REBUILT = timedelta(days=2)
"""How much of the lake is read to remember again what no snapshot tells of."""
_CHUNK = 50_000
_MOST_PASSED = 250_000
_TIDY_EVERY = timedelta(seconds=60)


@dataclass(slots=True, eq=False)
class _Mind:
    """One rule and what it remembers."""

    rule: Rule
    correlation: Keyed
    kind: Kind
    select: str
    """The columns of a sighting: hash of the key, pane, and the kind's own."""
    identity: str
    """Of what is remembered: another meaning of the rule, or other hashes, cannot use it."""
    told: Held = field(default_factory=dict)
    """Sightings whose events so far are in an episode."""
    waiting: Held = field(default_factory=dict)
    """Sightings that hold, to be told."""
    newest: int = 0
    passed: set[int] = field(default_factory=set)
    """Hashes of sightings that were seen: another look at one changes nothing, unless it holds."""

    def unseen(self, rows: list[Sighting]) -> list[Sighting]:
        """Those of *rows* that can change anything: in a busy minute they are few."""
        if self.kind.counted is not None:
            return rows
        if len(self.passed) > _MOST_PASSED:
            self.passed.clear()
        new = [row for row in rows if hash(row) not in self.passed or row in self.told or row in self.waiting]
        self.passed.update(map(hash, new))
        return new


def _live(correlation: Keyed) -> Kind:
    match correlation:
        case FirstSeen():
            return FirstSeenLive(correlation)
        case Travel():
            return TravelLive(correlation)
        case Baseline():
            return BaselineLive(correlation)
        case Silence():
            return SilenceLive(correlation)


def _mind(rule: Rule) -> _Mind:
    correlation = rule.correlation
    if not isinstance(correlation, Keyed):
        raise TypeError(f"{rule.name} asks for no past")
    kind = _live(correlation)
    select = ", ".join([keyed_sql.key(rule.group_by), keyed_sql.pane(kind.settle), *kind.select])
    identity = hashlib.sha256(f"{duckdb.__version__} {correlation!r} {select}".encode()).hexdigest()
    return _Mind(rule, correlation, kind, select, identity)


class Remembered:
    """An :class:`~bearerwatch.detect.evaluator.Evaluator` for the kinds of :mod:`~bearerwatch.detect.ir_keyed`."""

    def __init__(
        self, rules: Sequence[Rule], con: duckdb.DuckDBPyConnection, lake: Lake, state: State, book: EpisodeBook
    ) -> None:
        """Nothing is known. For the arguments see :class:`~bearerwatch.detect.detector.Detector`."""
        self._con = con
        self._lake = lake
        self._state = state
        self._book = book
        self._minds = [_mind(rule) for rule in rules]
        self._snapshots = Snapshots(lake.folder.parent / "memory")
        self.happened: list[Happened] = []
        """What happened and has not been told yet."""
        self._batch = 0
        """Number of the batch that was taken last."""
        self._now = datetime.now(UTC)
        self._read_until: int | None = None
        self._received = 0
        """When the latest event that is remembered came in, in µs."""
        self._tidied: datetime | None = None

    @property
    def degraded(self) -> list[str]:
        """Names of the rules that had to forget keys."""
        return [mind.rule.name for mind in self._minds if mind.kind.degraded]

    @property
    def unfinished(self) -> bool:
        """Whether something that holds is not in an episode yet."""
        return any(mind.waiting or (isinstance(mind.kind, SilenceLive) and mind.kind.untold) for mind in self._minds)

    # -- in ----------------------------------------------------------------------------------------------------------

    def read_up_to(self, until: datetime) -> None:
        """Take note that what was sent until then has been read: silence since then is none of ours."""
        self._read_until = micros(until)

    def take(self, now: datetime) -> None:
        """Take in the lake's batch, if it is a new one."""
        self._now = now
        if self._lake.batches == self._batch:
            return
        new, start = f"{INCOMING} WHERE rowid >= $1::BIGINT", self._lake.batch_from
        found = [
            self._lake.run(f"{self._query(mind, new)} AND {mind.kind.where} GROUP BY ALL", start)
            for mind in self._minds
        ]
        ((received,),) = self._lake.run(f"SELECT epoch_us(max(received_at)) FROM {new}", start)
        # From here on nothing can fail.
        self._batch = self._lake.batches
        self._received = max(self._received, received or 0)
        for mind, rows in zip(self._minds, found, strict=True):
            mind.waiting |= self._seen(mind, rows)

    def _query(self, mind: _Mind, events: str) -> str:
        counted = "" if mind.kind.counted is None else f", {mind.kind.counted}"
        return f"SELECT {mind.select}{counted} FROM {events}"

    def _seen(self, mind: _Mind, rows: list[Sighting]) -> Held:
        """Let the rule see *rows*, pane by pane; returns what holds."""
        held: Held = {}
        ceiling = micros(self._now) // (mind.kind.settle * SECOND) + 1
        for pane, group in groupby(sorted(mind.unseen(rows), key=_pane), key=_pane):
            held |= mind.kind.see(list(group), pane)
            if pane <= ceiling:  # a clock that is years ahead does not make us forget
                mind.newest = max(mind.newest, pane)
        return held

    # -- out ---------------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Bring what holds into episodes."""
        for mind in self._minds:
            if mind.waiting:
                self._tell(mind)
            if isinstance(mind.kind, SilenceLive):
                self._listen(mind, mind.kind)
        if self._tidied is None or not timedelta() <= self._now - self._tidied < _TIDY_EVERY:
            self._tidied = self._now
            for mind in self._minds:
                mind.kind.forget(mind.newest - mind.kind.kept - 1)
                mind.told = {one: n for one, n in mind.told.items() if one[1] >= mind.newest - mind.kind.told}

    def settle(self) -> None:
        """Nothing waits."""

    def start_over(self) -> None:
        """Nothing is half done: what waits is told at the next tick."""

    def _tell(self, mind: _Mind) -> None:
        """Bring what waits into episodes."""
        waiting, told = mind.waiting, mind.told
        # One that holds for the first time, or for more than before, is told with all its events.
        whole = {one for one, n in waiting.items() if n > told.get(one, -1)}
        rows = self._events(mind, whole, whole=True) + self._events(mind, waiting.keys() - whole, whole=False)
        islands: dict[Key, list[Island]] = {}
        fresh: dict[Key, list[Seen]] = {}
        for (key, sighting), group in groupby(sorted(rows, key=_place), key=_place):
            several = list(group)
            times = [row.seen.ts for row in several]
            new = [row.seen for row in several if row.new or sighting not in told]
            islands.setdefault(key, []).append(Island(min(times), max(times), waiting[sighting], len(times), len(new)))
            fresh.setdefault(key, []).extend(new)
        self._absorb(mind.rule, islands, fresh)
        told |= waiting
        mind.waiting = {}

    def _events(self, mind: _Mind, wanted: Collection[Sighting], *, whole: bool) -> list[_Event]:
        """The events of the sightings that are *wanted*: those of the batch, or the *whole* of them."""
        if not wanted:
            return []
        settle = mind.kind.settle * SECOND
        low, high = min(one[1] for one in wanted) * settle, (max(one[1] for one in wanted) + 1) * settle - 1
        keys = {one[0] for one in wanted}
        shown = ", ".join(f'"{name}"' for name in EVIDENCE)
        select = (
            f"SELECT {sql.key_columns(mind.rule.group_by)}, new, epoch_us(ts), {sql.WEIGHT}, {shown}, {mind.select} "
        )
        where = (
            f" WHERE ts BETWEEN make_timestamp({low}) AND make_timestamp({high}) AND {mind.kind.anchors} "
            f"AND {keyed_sql.key(mind.rule.group_by)} IN (SELECT unnest($1::UBIGINT[]))"
        )
        start = self._lake.batch_from
        batch = f"SELECT *, TRUE AS new FROM {INCOMING} WHERE rowid >= {start}"

        def ask(events: str) -> list[tuple[Any, ...]]:
            return self._con.execute(f"{select} FROM ({events}){where}", [list(keys)]).fetchall()

        if whole:
            pending = f"SELECT *, FALSE AS new FROM {self._lake.pending(start)}"
            found = self._lake.reading(
                instant(low),
                instant(high + 1),
                lambda scan: ask(
                    f"SELECT *, FALSE AS new FROM {scan} UNION ALL BY NAME {pending} UNION ALL BY NAME {batch}"
                ),
            )
        else:
            found = ask(batch)
        width, end = len(mind.rule.group_by), len(mind.rule.group_by) + 3 + len(EVIDENCE)
        return [
            _Event(row[:width], row[end:], row[width], Seen(*row[width + 1 : end]))
            for row in found
            if row[end:] in wanted
        ]

    def _listen(self, mind: _Mind, kind: SilenceLive) -> None:
        """Tell who has been silent for too long."""
        kind.listen(None if self._read_until is None else min(self._read_until, micros(self._now)))
        if kind.untold:
            self._absorb(mind.rule, kind.untold, {})
            kind.untold = {}

    def _absorb(self, rule: Rule, found: dict[Key, list[Island]], fresh: Mapping[Key, list[Seen]]) -> None:
        """Open and extend episodes, and add to their evidence what is *fresh*."""
        self._book.look_up(rule, found, self._state, self._now)
        # From here on nothing can fail.
        for key, several in found.items():
            several.sort(key=lambda island: island.first)
            grown, happened = self._book.absorb(rule, key, several, now=self._now, heard=self._now)
            self.happened += happened
            for one in grown:
                episode = one.episode
                low, high = micros(episode.first_hit), micros(episode.last_hit)
                seen = [seen for seen in fresh.get(key, ()) if low <= seen.ts <= high]
                if seen or not episode.evidence:
                    episode.evidence = together(episode.evidence, seen)
                    self._book.dirty[episode.id] = episode

    # -- what outlives the process -----------------------------------------------------------------------------------

    def warm_up(self, newest: datetime, now: datetime) -> None:
        """Take up the latest snapshot, and remember what came in since; without one, the last two days.

        Raises:
            StateBusy: the manifest or the state database cannot be read just now.
        """
        self._now = now
        with self._state.read() as conn:
            snapshot = self._snapshots.load(conn)
        self._received = snapshot.received if snapshot is not None else 0
        for mind in self._minds:
            known = None if snapshot is None else snapshot.minds.get(mind.rule.name)
            if known is not None and known.identity == mind.identity:
                mind.kind.load(known.state)
                mind.told = {tuple(one): n for *one, n in known.told}
                mind.newest = told_from = known.newest
                self._replay(mind, f"received_at > make_timestamp({self._received})", None)
            else:
                mind.newest = micros(newest) // (mind.kind.settle * SECOND)
                told_from = mind.newest - mind.kind.kept
                start = micros(newest - min(_REBUILT, timedelta(seconds=mind.kind.kept * mind.kind.settle)))
                self._replay(mind, f"ts >= make_timestamp({start})", instant(start))
            if isinstance(mind.kind, SilenceLive):
                since = instant((told_from - mind.kind.kept) * mind.kind.settle * SECOND)
                with self._state.read() as conn:
                    told = episodes.list_(conn, since=since, rules=[mind.rule.name], limit=None)
                mind.kind.told_of(
                    (tuple(one.key[name] for name in mind.rule.group_by), micros(one.last_hit))
                    for one in told
                    if set(one.key) == set(mind.rule.group_by)
                )
        newest_in = "SELECT epoch_us(max(received_at)) FROM "
        latest = self._lake.reading(None, None, lambda scan: self._con.execute(newest_in + scan).fetchall())
        self._received = max(self._received, latest[0][0] or 0)

    def _replay(self, mind: _Mind, since: str, start: datetime | None) -> None:
        """Remember the lake's events; what they made hold was told then."""

        def feed(events: str) -> None:
            # A connection of its own: the shared one must not be left with rows to fetch.
            cursor = self._con.cursor()
            try:
                query = f"{self._query(mind, events)} WHERE {since} AND {mind.kind.where} GROUP BY ALL ORDER BY 2"
                cursor.execute(query)
                rest: list[Sighting] = []
                while rows := cursor.fetchmany(_CHUNK):
                    # a pane is seen as a whole, as far as it has come
                    rest += rows
                    last = rest[-1][1]
                    mind.told |= self._seen(mind, [row for row in rest if row[1] != last])
                    rest = [row for row in rest if row[1] == last]
                mind.told |= self._seen(mind, rest)
            finally:
                cursor.close()

        self._lake.reading(start, None, feed)

    def save(self, tx: Connection) -> None:
        """Take a snapshot now and then, in the transaction that publishes all it is made of.

        Raises:
            StateBusy: something that holds waits to be told.
        """
        if self._lake.batches != self._batch or not self._snapshots.due(self._now):
            return
        self._snapshots.save(
            tx,
            Snapshot(
                received=self._received,
                minds={
                    mind.rule.name: Memory(
                        identity=mind.identity,
                        newest=mind.newest,
                        told=[[*one, n] for one, n in mind.told.items()],
                        state=mind.kind.dump(),
                    )
                    for mind in self._minds
                },
            ),
            self._now,
        )

    def committed(self) -> None:
        """The latest snapshot is in force."""
        self._snapshots.committed()


class _Event(NamedTuple):
    key: Key
    sighting: Sighting
    new: bool
    """Whether it came with the batch."""
    seen: Seen


def _place(event: _Event) -> tuple[Key, Sighting]:
    return event.key, event.sighting


def _pane(row: Sighting) -> int:
    pane: int = row[1]
    return pane
