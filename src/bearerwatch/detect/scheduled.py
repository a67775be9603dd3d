# ruff: noqa: S608 - made of names and numbers of ours and the dialect's text; keys travel as parameters
"""Rules whose condition nearly any event could meet, or fewer: asked once a second of the keys that had events.

Counting rules nothing out for them ("fewer than five", "on average over a second"), so the exact query is all there is.
It is put for all keys with new events that can make something hold, at every anchor they can have changed, over the
events the rule looks at: those of the last minutes are kept in memory, and what is older is looked up in the lake. What
it costs grows with the events of those keys within the rule's reach; a rule that takes more than a second is
*degraded*.

A hit is what held when it was judged. A late event that would have spoken against it takes nothing back of what was
told; one that makes another anchor hold is told like any other. ``hits`` counts each time an anchor came to hold.

Rows have the number of the tick they came with. Times are µs unless they are datetimes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import duckdb
from sqlalchemy.engine import Connection

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect import windows_sql
from bearerwatch.detect.book import EpisodeBook, Happened
from bearerwatch.detect.evidence import COLUMNS as EVIDENCE
from bearerwatch.detect.evidence import Seen, together
from bearerwatch.detect.ir import Rule, Windowed, fields_of, reach
from bearerwatch.detect.ir_needs import makers
from bearerwatch.detect.islands import SECOND, Grown, Key, instant, islands, micros, uncovered
from bearerwatch.store.engine import COLUMNS
from bearerwatch.store.lake import INCOMING, Lake
from bearerwatch.store.state import State

__all__ = ["Scheduled"]

TABLE = "detect_scheduled"
EVERY = timedelta(seconds=1)
"""How often keys with new events are asked about, beside every commit."""
MOST_ROWS = 100_000
"""Rows kept in memory at most, of all these rules (some 300 bytes each)."""

_SLOW = 1.0
_SHARE = 4
_TIDY_EVERY = 20 * SECOND
_SLACK = 30 * SECOND
_EVER = -(2**62)
_NEW = f"(FROM {INCOMING} WHERE rowid >= $1::BIGINT)"
T = TypeVar("T")


@dataclass(slots=True)
class _Entry:
    """What is to be asked about one key."""

    first: int
    last: int
    heard: int
    """The collector's clock when the latest of its events came."""


@dataclass(slots=True, eq=False)
class _Standing:
    """One rule at work."""

    rule: Rule
    correlation: Windowed
    number: int
    reach: int
    horizon: int
    touched: str
    """The query for the keys that events from a row on can make hold."""
    due: dict[Key, _Entry] = field(default_factory=dict)
    since: int = 0
    """First tick whose rows are new; of use only while something is due."""
    began: int = 0
    """First row of that tick's batch in the lake."""
    newest: int = _EVER
    """No row from before that tick is later."""
    latest: int = _EVER
    cost: float = 0.0
    """Seconds that the latest evaluation took."""


class Scheduled:
    """An :class:`~bearerwatch.detect.evaluator.Evaluator` for rules that sketches are of no use for."""

    def __init__(
        self,
        rules: Sequence[Rule],
        con: duckdb.DuckDBPyConnection,
        lake: Lake,
        state: State,
        book: EpisodeBook,
        *,
        lateness: timedelta,
    ) -> None:
        """Make the table, empty. For the arguments see :class:`~bearerwatch.detect.detector.Detector`."""
        self._con = con
        self._lake = lake
        self._state = state
        self._book = book
        spare = lateness // timedelta(microseconds=1) + _SLACK
        self._standing = [_standing(number, rule, spare) for number, rule in enumerate(rules)]
        wanted = {"ts", "count", *EVIDENCE}.union(*(fields_of(rule.correlation) for rule in rules))
        self._columns = [name for name in COLUMNS if name in wanted]
        self._names = ", ".join(f'"{name}"' for name in self._columns)
        kinds = ", ".join(f'"{name}" {COLUMNS[name]}' for name in self._columns)
        lake.run.define(f"CREATE OR REPLACE TABLE {TABLE} (rule INTEGER, tick BIGINT, {kinds})")
        self.happened: list[Happened] = []
        """What happened and has not been told yet."""
        self._batch = 0
        """Number of the batch that was taken last."""
        self._tick = 0
        self._rows = 0
        self._complete = _EVER
        """The table has all there is from here on."""
        self._now = datetime.now(UTC)
        self._asked: datetime | None = None
        self._clock = _EVER
        """Time of the newest event that is not in the future."""
        self._newest = _EVER
        self._tidied: int | None = None
        self._broken = False
        self._uncopied: int | None = None
        """The first row in the lake's memory that is not in the table; None if all are."""

    @property
    def degraded(self) -> list[str]:
        """Names of the rules that take longer than a second at a time."""
        return [standing.rule.name for standing in self._standing if standing.cost > _SLOW]

    @property
    def unfinished(self) -> bool:
        """Whether a batch was taken in half."""
        return self._broken

    def warm_up(self, newest: datetime, now: datetime) -> None:
        """Nothing is read: what lies before the first new events is looked up in the lake."""
        self._newest = micros(newest)
        self._complete = self._newest + 1
        self._clock = min(self._newest, micros(now))
        for standing in self._standing:
            standing.newest = standing.latest = self._newest

    def read_up_to(self, until: datetime) -> None:
        """Nothing to do: what holds does not hang on the clock."""

    def save(self, tx: Connection) -> None:
        """Nothing to write: before a commit everything has been asked."""

    def committed(self) -> None:
        """Nothing to do."""

    def start_over(self) -> None:
        """After running out of memory: what is kept of the past is looked up in the lake instead."""
        self._con.execute(f"TRUNCATE {TABLE}")
        self._rows = 0
        self._complete = self._newest + 1

    # -- in ----------------------------------------------------------------------------------------------------------

    def take(self, now: datetime) -> None:
        """Take in the lake's batch, if it is a new one, and note which keys had events."""
        self._now = now
        if self._lake.batches == self._batch:
            return
        tick, start = self._tick + 1, self._lake.batch_from
        self._broken = True
        touched = [self._lake.run(standing.touched, start) for standing in self._standing]
        # From here on nothing can fail.
        self._batch, self._tick, self._broken = self._lake.batches, tick, False
        if self._uncopied is None:
            self._uncopied = start
        clock = micros(now)
        for standing, found in zip(self._standing, touched, strict=True):
            self._note(standing, found, tick, start, clock)

    def _copy(self) -> None:
        """Keep the rows that have come since the latest copy; they are there until the commit."""
        if self._uncopied is None:
            return
        ((newest, latest),) = self._lake.run(
            f"SELECT epoch_us(max(ts)), epoch_us(max(ts) FILTER (ts <= make_timestamp($2::BIGINT))) FROM {_NEW}",
            self._uncopied,
            micros(self._now),
        )
        wheres = [
            f"SELECT {standing.number} AS rule, * FROM {_NEW} WHERE {sql.taking_where(standing.correlation)}"
            for standing in self._standing
        ]
        ((number,),) = self._lake.run(
            f"INSERT INTO {TABLE} SELECT rule, $2::BIGINT, {self._names} FROM ({' UNION ALL '.join(wheres)})",
            self._uncopied,
            self._tick,
        )
        self._rows += number
        self._newest = max(self._newest, _EVER if newest is None else newest)
        self._clock = max(self._clock, _EVER if latest is None else latest)
        self._uncopied = None

    def _note(self, standing: _Standing, found: list[tuple[Any, ...]], tick: int, start: int, clock: int) -> None:
        if found and not standing.due:
            standing.since, standing.began, standing.newest = tick, start, standing.latest
        for *key, first, last in found:
            entry = standing.due.get(tuple(key))
            if entry is None:
                standing.due[tuple(key)] = _Entry(first, last, clock)
            else:
                entry.first, entry.last, entry.heard = min(entry.first, first), max(entry.last, last), clock
            standing.latest = max(standing.latest, last)

    # -- out ---------------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Ask about the keys that had events, if it is time to."""
        cost = sum(standing.cost for standing in self._standing)
        pause = max(EVERY, timedelta(seconds=_SHARE * cost))
        waits = any(standing.due for standing in self._standing)
        if waits and (
            self._asked is None or not timedelta() <= self._now - self._asked < pause or self._book.quiet(self._now)
        ):
            self.settle()
        self._tidy()

    def settle(self) -> None:
        """Ask about all that waits."""
        self._copy()
        for standing in self._standing:
            if standing.due:
                began = time.perf_counter()
                self._ask(standing)
                standing.cost = time.perf_counter() - began
                self._asked = self._now

    def _ask(self, standing: _Standing) -> None:
        """Look for hits at all anchors that new events can have changed, and keep the book."""
        rule, due = standing.rule, standing.due
        hits = self._hits(standing, due, old=False)
        late = {key: due[key] for key in hits if due[key].first <= standing.newest}
        before = self._hits(standing, late, old=True) if late else {}
        gap = rule.window * SECOND
        found = {
            key: list(islands(anchors, [ts for ts, _ in before.get(key, ())], gap)) for key, anchors in hits.items()
        }
        self._book.look_up(rule, found, self._state, self._now)
        # From here on nothing can fail but the evidence.
        grown: list[tuple[Key, Grown]] = []
        for key, several in found.items():
            changed, happened = self._book.absorb(rule, key, several, now=self._now, heard=instant(due[key].heard))
            grown += [(key, one) for one in changed]
            self.happened += happened
        # Late events that end nothing new belong to what was told of their time.
        standing.due = {}
        self._note_evidence(standing, grown)

    def _hits(self, standing: _Standing, due: Mapping[Key, _Entry], *, old: bool) -> dict[Key, list[tuple[int, int]]]:
        """The hits of *due*'s keys by all there is, or by what came before the new events alone."""
        low = min(entry.first for entry in due.values()) - standing.reach
        high = max(entry.last for entry in due.values()) + standing.reach
        correlation, names = standing.correlation, _keys(standing)
        cte, values = _table("due", names, [(key, e.first, e.last) for key, e in due.items()])
        wanted = " OR ".join(
            f"({', '.join(map(sql.key_column, fields))}) IN (SELECT {', '.join(names)} FROM due)"
            for fields in windows_sql.keyings(correlation)
        )

        def ask(events: str) -> list[tuple[Any, ...]]:
            near = f"(SELECT {self._names} FROM {events} WHERE ({wanted}){' AND NOT fresh' if old else ''})"
            on = " AND ".join(f"h.{name} = due.{name}" for name in names)
            keys = ", ".join(f"h.{name}" for name in names)
            hits = sql.hits(correlation, near)
            return self._con.execute(
                f"WITH {cte} SELECT {keys}, epoch_us(h.ts), h.n FROM ({hits}) h JOIN due ON {on} "
                f"WHERE epoch_us(h.ts) BETWEEN low AND high + {standing.reach}",
                values,
            ).fetchall()

        found: dict[Key, list[tuple[int, int]]] = {}
        for *key, ts, n in self._over(standing, low, high, ask):
            found.setdefault(tuple(key), []).append((ts, n))
        return found

    def _over(self, standing: _Standing, low: int, high: int, work: Callable[[str], T]) -> T:
        """Do *work* on the events the rule looks at in that time; ``fresh`` says which of them are new."""
        span = f"ts BETWEEN make_timestamp({low}) AND make_timestamp({high})"
        if low >= self._complete:
            where = f"rule = {standing.number} AND {span}"
            return work(f"(SELECT {self._names}, tick >= {standing.since} AS fresh FROM {TABLE} WHERE {where})")
        where = f"{span} AND {sql.taking_where(standing.correlation)}"
        old = self._lake.pending(standing.began)
        new = f"(FROM {INCOMING} WHERE rowid >= {standing.began})"
        rest = " UNION ALL ".join(
            f"SELECT {self._names}, {fresh} AS fresh FROM {events} WHERE {where}"
            for events, fresh in ((old, "FALSE"), (new, "TRUE"))
        )
        return self._lake.reading(
            instant(low),
            instant(high + 1),
            lambda scan: work(f"(SELECT {self._names}, FALSE AS fresh FROM {scan} WHERE {where} UNION ALL {rest})"),
        )

    def _note_evidence(self, standing: _Standing, grown: list[tuple[Key, Grown]]) -> None:
        """Add the events that have come to belong to the episodes."""
        if not grown:
            return
        window, names = standing.rule.window * SECOND, _keys(standing)
        extents = [(key, micros(one.episode.first_hit) - window, micros(one.episode.last_hit)) for key, one in grown]
        gaps = [(key, *part) for key, one in grown for part in uncovered(one, window)]
        spans = [(*extent, True) for extent in extents] + [(*gap, False) for gap in gaps]
        cte, values = _table("spans", names, [span[:3] for span in spans], [span[3] for span in spans])
        shown = ", ".join(f'"{name}"' for name in EVIDENCE)
        keys, on = ", ".join(f"e.{name}" for name in names), " AND ".join(f"e.{n} = spans.{n}" for n in names)

        def ask(events: str) -> list[tuple[Any, ...]]:
            mine = windows_sql.looked_at(standing.correlation, events, f'ts, "count", fresh, {shown}')
            return self._con.execute(
                f"WITH {cte} SELECT {keys}, epoch_us(e.ts), {sql.WEIGHT}, {shown} FROM ({mine}) e JOIN spans ON {on} "
                "AND e.fresh = spans.new WHERE epoch_us(e.ts) BETWEEN low AND high",
                values,
            ).fetchall()

        seen: dict[Key, list[Seen]] = {}
        for row in self._over(standing, min(s[1] for s in spans), max(s[2] for s in spans), ask):
            seen.setdefault(row[: len(names)], []).append(Seen(*row[len(names) :]))
        for key, one in grown:
            low, high = micros(one.episode.first_hit) - window, micros(one.episode.last_hit)
            if mine := [event for event in seen.get(key, ()) if low <= event.ts <= high]:
                one.episode.evidence = together(one.episode.evidence, mine)
                self._book.dirty[one.episode.id] = one.episode

    # -- upkeep ------------------------------------------------------------------------------------------------------

    def _tidy(self) -> None:
        """Drop rows that are no longer needed, and the oldest of too many; nothing must be due of them."""
        crowded = self._rows > MOST_ROWS
        if self._tidied is None:
            self._tidied = self._clock
        if not crowded and self._clock - self._tidied < _TIDY_EVERY:
            return
        self._tidied = self._clock
        before = self._clock - max((standing.horizon for standing in self._standing), default=0)
        if crowded:
            newest = f"SELECT ts FROM {TABLE} ORDER BY ts DESC LIMIT {MOST_ROWS * 3 // 4}"
            ((found,),) = self._con.execute(f"SELECT epoch_us(min(ts)) FROM ({newest})").fetchall()
            before = max(before, found + 1)
        self._lake.run.define(f"CREATE OR REPLACE TABLE {TABLE} AS FROM {TABLE} WHERE ts >= make_timestamp({before})")
        self._complete = max(self._complete, before)
        ((self._rows,),) = self._con.execute(f"SELECT count(*) FROM {TABLE}").fetchall()


def _standing(number: int, rule: Rule, spare: int) -> _Standing:
    if not isinstance(rule.correlation, Windowed):
        raise TypeError(f"{rule.name} is no rule of windows")
    span = reach(rule.correlation) * SECOND
    made = windows_sql.looked_at(rule.correlation, _NEW, "ts", makers(rule.correlation))
    keys = windows_sql.keys_of(rule.group_by)
    touched = f"SELECT {keys}, epoch_us(min(ts)), epoch_us(max(ts)) FROM ({made}) GROUP BY ALL"
    return _Standing(rule, rule.correlation, number, span, span + spare, touched)


def _keys(standing: _Standing) -> list[str]:
    return [f"k{i}" for i in range(len(standing.rule.group_by))]


def _table(
    name: str, keys: Sequence[str], spans: Sequence[tuple[Key, int, int]], new: Sequence[bool] = ()
) -> tuple[str, list[object]]:
    """A CTE ``name(k…, low, high)``, with ``new`` where that is given, and its parameters."""
    columns = [f"unnest(${i + 1}::VARCHAR[]) AS {key}" for i, key in enumerate(keys)]
    columns += [f"unnest(${len(keys) + 1 + i}::BIGINT[]) AS {bound}" for i, bound in enumerate(("low", "high"))]
    values: list[object] = [[span[0][i] for span in spans] for i in range(len(keys))]
    values += [[span[1] for span in spans], [span[2] for span in spans]]
    if new:
        columns.append(f"unnest(${len(keys) + 3}::BOOLEAN[]) AS new")
        values.append(list(new))
    return f"{name} AS (SELECT {', '.join(columns)})", values
